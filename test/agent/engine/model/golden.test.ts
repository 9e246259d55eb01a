import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  checkGolden,
  DEFAULT_TOLERANCE,
  type Golden,
  goldenInputs,
  goldenTensor,
  parseGolden,
} from '../../../../agent/engine/model/golden.ts';
import type { Session, Tensor } from '../../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { Refusal } from '../../../../agent/error.ts';
import { MORTGAGE, mortgageRows } from '../../../support/mortgage.ts';

let v1: Session;
let v2: Session;
let golden: Golden;

beforeAll(async () => {
  const runtime = await createNodeRuntime();
  const open = async (version: string) =>
    runtime.open(await readFile(join(MORTGAGE, `${version}.onnx`)));
  [v1, v2] = await Promise.all([open('v1'), open('v2')]);
  const rows = (await mortgageRows('traffic')).slice(0, 4).map((row) => row.slice(0, 10));
  const features: Tensor = {
    datatype: 'FP32',
    shape: [4, 10],
    data: Float32Array.from(rows.flat()),
  };
  const outputs = await v1.run(new Map([['features', features]]));
  golden = {
    schema: 1,
    tolerance: DEFAULT_TOLERANCE,
    inputs: [goldenTensor('features', features)],
    outputs: [...outputs].map(([name, tensor]) => goldenTensor(name, tensor)),
  };
});
afterAll(() => Promise.all([v1.release(), v2.release()]));

async function refusal(session: Session, vectors: Golden): Promise<string> {
  try {
    await checkGolden(session, vectors);
    return 'agrees';
  } catch (error) {
    if (error instanceof Refusal) return `${error.code}: ${error.message}`;
    throw error;
  }
}

/** The vectors with one value of the scores moved. */
function moved(by: number): Golden {
  const copy = structuredClone(golden);
  const scores = copy.outputs.find((output) => output.name === 'probabilities');
  if (scores !== undefined) scores.data[3] = Number(scores.data[3]) + by;
  return copy;
}

describe('golden vectors', () => {
  it('GOLDEN-1: agree with the model that made them, also after a trip through JSON', async () => {
    expect(await refusal(v1, golden)).toBe('agrees');
    const read = parseGolden(Buffer.from(JSON.stringify(golden)));
    expect(read).toEqual(golden);
    expect(await refusal(v1, read)).toBe('agrees');
  });

  it('GOLDEN-1: disagree with another model, and name the value', async () => {
    expect(await refusal(v2, golden)).toMatch(
      /^golden-mismatch: golden output "probabilities"\[\d+\] is [\d.]+ here, [\d.]+ when the version was made/,
    );
  });

  it('GOLDEN-1: forgive rounding and nothing more', async () => {
    expect(await refusal(v1, moved(5e-6))).toBe('agrees');
    expect(await refusal(v1, moved(1e-3))).toMatch(/"probabilities"\[3\]/);
    expect(await refusal(v1, moved(Number.NaN))).toMatch(/^golden-mismatch/);
  });

  it('GOLDEN-1: notice an output that is missing or of another length', async () => {
    const missing = structuredClone(golden);
    missing.outputs[0].name = 'gone';
    expect(await refusal(v1, missing)).toContain('"gone": expected 4 values, got none');
    const short = structuredClone(golden);
    short.outputs[0].data.pop();
    expect(await refusal(v1, short)).toContain('expected 3 values, got 4');
  });

  it('keep 64-bit integers exact', () => {
    const data = BigInt64Array.of(-(2n ** 63n), 2n ** 63n - 1n);
    const tensor = goldenTensor('label', { datatype: 'INT64', shape: [2], data });
    const inputs = goldenInputs({ ...golden, inputs: [JSON.parse(JSON.stringify(tensor))] });
    expect(inputs.get('label')?.data).toEqual(data);
  });

  it('that cannot be read are refused', () => {
    for (const text of ['', '{}', '{"schema":2}']) {
      expect(() => parseGolden(Buffer.from(text))).toThrow(Refusal);
    }
  });
});
