import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { NATIVE_MEMORY_ENVIRONMENT } from '../../agent/engine/model/native-memory.ts';
import type { Tensor } from '../../agent/engine/model/runtime.ts';
import { DENSE_FEATURES, denseModel } from '../../bench/support/models.ts';
import { describeModel } from '../agent/engine/model/admitted.ts';
import { temporaryFolder } from '../support/mortgage.ts';
import { randomRows, seeded } from '../support/random-models.ts';
import { ROOT } from '../support/source-files.ts';

const SWAPS = 20;
const MAX_GROWTH = 0.1;
const MB = 2 ** 20;

const urlOf = (path: string) => JSON.stringify(pathToFileURL(join(ROOT, path)).href);

/** Admits the two files by turns, as an engine does on a rollout: the new one first, then the old one retires. */
function swapping(files: readonly unknown[]): string {
  return `
    const { admit } = await import(${urlOf('dist/agent/engine/model/admission.js')});
    const { createNodeRuntime } = await import(${urlOf('dist/agent/engine/model/runtime-node.js')});
    const runtime = await createNodeRuntime();
    const files = ${JSON.stringify(files)};
    const open = (swap) =>
      admit(runtime, { files: files[swap % 2], execution: {} }, { cores: 1, engines: 1 });
    const before = process.memoryUsage.rss();
    let slot = await open(0);
    const rss = [];
    for (let swap = 1; swap <= ${SWAPS}; swap += 1) {
      const next = await open(swap);
      await slot.retire();
      slot = next;
      rss.push(process.memoryUsage.rss());
    }
    await slot.retire();
    const { placement } = slot;
    process.stdout.write(JSON.stringify({ before, rss, after: process.memoryUsage.rss(), placement }));`;
}

it('a model of 200 MB is swapped twenty times and every cycle gives its memory back', async () => {
  const folder = await temporaryFolder();
  try {
    const data = randomRows(2, DENSE_FEATURES, seeded(1));
    const shape = [2, DENSE_FEATURES];
    const x = new Map<string, Tensor>([['x', { datatype: 'FP32', shape, data }]]);
    const first = await describeModel(folder.path, 'first', denseModel(1, 3), x);
    const second = await describeModel(folder.path, 'second', denseModel(1, 4), x);
    const script = join(folder.path, 'swap.mjs');
    await writeFile(script, swapping([first, second]));
    const { stdout } = await promisify(execFile)(process.execPath, [script], {
      env: { ...process.env, ...NATIVE_MEMORY_ENVIRONMENT },
    });
    const { before, rss, after, placement } = JSON.parse(stdout) as {
      before: number;
      rss: number[];
      after: number;
      placement: { kind: string };
    };
    expect(placement.kind).toBe('worker');
    const [one, ...later] = rss;
    // The model is in memory at all, so the rest can fail.
    expect(one - before).toBeGreaterThan(150 * MB);
    expect(later).toHaveLength(SWAPS - 1);
    expect(Math.max(...later) / one).toBeLessThan(1 + MAX_GROWTH);
    expect(after - before).toBeLessThan(50 * MB);
  } finally {
    await folder.remove();
  }
});
