import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ComputeJournal, journaled, takeTrace } from '../../../agent/engine/journal.ts';
import { createNodeRuntime } from '../../../agent/engine/model/runtime-node.ts';
import { temporaryFolder } from '../../support/mortgage.ts';
import { buildModel, identityModel } from '../../support/onnx-builder.ts';

const one = `sha256:${'1'.repeat(64)}`;
const two = `sha256:${'2'.repeat(64)}`;

let folder: Awaited<ReturnType<typeof temporaryFolder>>;
let path: string;
beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder.path, '0');
});
afterEach(() => folder.remove());

describe('the journal of an engine', () => {
  it('names what was computed last, and is gone once it was read', () => {
    const journal = new ComputeJournal(path);
    for (const each of [one, one, two, one, two]) journal.computing(each);
    for (const each of [1, 2, 70_000]) journal.taken(each);
    expect(takeTrace(path)).toEqual({ computedLast: two, lastConnection: 70_000 });
    expect(existsSync(path)).toBe(false);
    expect(takeTrace(path)).toEqual({ computedLast: null, lastConnection: 0 });
    journal.close();
  });

  it('names nothing before the first call', () => {
    const journal = new ComputeJournal(path);
    journal.taken(3);
    journal.close();
    expect(takeTrace(path)).toEqual({ computedLast: null, lastConnection: 3 });
  });

  it('is written before a session runs in the engine’s own thread', async () => {
    const runtime = await createNodeRuntime();
    const port = { name: 'x', datatype: 'FP32' as const, shape: [1] };
    const session = await runtime.open(buildModel(identityModel([port])));
    const journal = new ComputeJournal(path);
    const watched = journaled(session, one, journal);
    const inputs = new Map([
      ['x', { datatype: 'FP32' as const, shape: [1], data: Float32Array.of(7) }],
    ]);
    expect(readFileSync(path, 'latin1')).toBe('');
    const running = watched.run(inputs);
    expect(readFileSync(path, 'latin1')).toBe(one);
    expect((await running).get('x_out')?.data).toEqual(Float32Array.of(7));
    await watched.release();
    journal.close();
  });
});
