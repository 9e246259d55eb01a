import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readModelOutline } from '../../../../agent/engine/model/model-outline.ts';
import { denseModel } from '../../../../bench/support/models.ts';
import { ProtocolError } from '../../../../protocol/error.ts';
import { readModelInfo } from '../../../../protocol/onnx/model-info.ts';
import { MORTGAGE, temporaryFolder } from '../../../support/mortgage.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

async function written(bytes: Uint8Array): Promise<string> {
  const path = join(folder.path, 'model.onnx');
  await writeFile(path, bytes);
  return path;
}

describe('the outline of a model', () => {
  it.each(['v1', 'v2', 'v3'])('tells of the example %s what the file tells', async (version) => {
    const path = join(MORTGAGE, `${version}.onnx`);
    const want = readModelInfo(await readFile(path));
    expect(readModelInfo(await readModelOutline(path))).toEqual(want);
  });

  it('leaves the weights out', async () => {
    const bytes = denseModel(0.1);
    expect(bytes.length).toBeGreaterThan(3_000_000);
    const outline = await readModelOutline(await written(bytes));
    expect(outline.length).toBeLessThan(10_000);
    expect(readModelInfo(outline)).toEqual(readModelInfo(bytes));
  });

  it.each([
    ['nothing', Buffer.alloc(0)],
    ['text', Buffer.from('this is no model, it is a text')],
    ['a varint without end', Buffer.alloc(100_000, 0xff)],
    ['a field longer than the file', Buffer.from([0x3a, 0xff, 0xff, 0xff, 0x7f])],
    ['half a model', denseModel(0.1).subarray(0, 1_000_000)],
  ])('of %s is refused as the file is', async (_, bytes) => {
    const refused = async () => readModelInfo(await readModelOutline(await written(bytes)));
    await expect(refused()).rejects.toThrow(ProtocolError);
    expect(() => readModelInfo(bytes)).toThrow(ProtocolError);
  });
});
