import { writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ModelFiles } from '../../../../agent/engine/messages.ts';
import { TestPool } from '../../../support/engine-pool.ts';
import { writeSlowModel } from '../../../support/slow-model.ts';
import { until } from '../../../support/stack.ts';

/** Real processes start and die, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestPool;
let one: ModelFiles;
let two: ModelFiles;

beforeEach(async () => {
  test = await TestPool.start({ engines: 2 });
  one = await writeSlowModel(test.folder, 'slow', 1);
  two = await writeSlowModel(test.folder, 'slow', 2);
});
afterEach(() => test.stop());

const pids = async () => (await test.pool.snapshot()).processes.map(({ pid }) => pid);
const alive = (count: number) =>
  until(`${count} engines`, async () => (test.pool.alive === count ? true : null));
const manifests = async () =>
  (await test.pool.snapshot()).arms.map(({ manifest, success }) => [manifest, success.count]);

describe('an engine that dies while it is told something', () => {
  it('makes a version that it was opening refused', async () => {
    await test.serve({ slow: one });
    const [victim] = await pids();
    // Stopped, it cannot answer before it is killed.
    process.kill(victim, 'SIGSTOP');
    const prepared = test.pool.prepare([
      { files: one, execution: { placement: 'worker' } },
      { files: two, execution: { placement: 'worker' } },
    ]);
    process.kill(victim, 'SIGKILL');
    expect(await prepared).toEqual([
      { manifest: one.manifest, outcome: 'ready' },
      {
        manifest: two.manifest,
        outcome: 'refused',
        code: 'engine-crashed',
        detail: 'engine 0 died before it answered',
      },
    ]);
    expect(await test.death(1)).toMatchObject({ loading: [two.manifest], cause: 'SIGKILL' });
  });

  it('does not hold up a switch, and comes back with the new plan', async () => {
    await test.serve({ slow: one });
    await test.pool.prepare([{ files: two, execution: { placement: 'worker' } }]);
    const [victim, other] = await pids();
    process.kill(victim, 'SIGSTOP');
    const switched = test.commit({ slow: two });
    process.kill(victim, 'SIGKILL');
    await switched;
    await alive(2);
    expect(await pids()).toContain(other);
    for (let k = 0; k < 4; k += 1) expect((await test.infer('slow', 1)).status).toBe(200);
    expect(await manifests()).toEqual([[two.manifest, 4]]);
  });

  it('does not stop a start: another is tried until the plan is served', async () => {
    await test.serve({ slow: one });
    for (const pid of await pids()) process.kill(pid, 'SIGKILL');
    await test.death(2);
    await alive(2);
    expect((await test.infer('slow', 1)).status).toBe(200);
  });
});

describe('the number of engines', () => {
  it('grows with engines that serve the plan, and shrinks by the newest without a failed request', async () => {
    await test.serve({ slow: one });
    const [first] = await pids();
    test.pool.resize(3);
    await alive(3);
    for (let k = 0; k < 6; k += 1) expect((await test.infer('slow', 1)).status).toBe(200);
    expect(await pids()).toHaveLength(3);
    test.pool.resize(1);
    expect(test.pool.alive).toBe(1);
    expect((await test.infer('slow', 1)).status).toBe(200);
    await until('two to end', async () => (test.pool.engineSnapshots.length === 1 ? true : null));
    expect(await pids()).toEqual([first]);
    // What those counted that have ended still counts.
    expect(await manifests()).toEqual([[one.manifest, 7]]);
    expect(test.deaths).toEqual([]);
  });
});

describe('counters of a host', () => {
  it('never go backwards when an engine dies', async () => {
    await test.serve({ slow: one });
    for (let k = 0; k < 8; k += 1) await test.infer('slow', 1);
    expect(await manifests()).toEqual([[one.manifest, 8]]);
    process.kill((await pids())[0], 'SIGKILL');
    await test.death(1);
    expect(await manifests()).toEqual([[one.manifest, 8]]);
    await test.infer('slow', 1);
    expect(await manifests()).toEqual([[one.manifest, 9]]);
    const { engines } = await test.pool.snapshot();
    expect(engines).toMatchObject({ wanted: 2, deaths: 1, unanswered: 0 });
  });

  it('stand still, and say so, for an engine that does not answer', async () => {
    await test.serve({ slow: one });
    for (let k = 0; k < 4; k += 1) await test.infer('slow', 1);
    await manifests();
    const [stopped] = await pids();
    process.kill(stopped, 'SIGSTOP');
    const { arms, engines } = await test.pool.snapshot();
    expect(arms[0].success.count).toBe(4);
    expect(engines.unanswered).toBe(1);
    process.kill(stopped, 'SIGCONT');
  });

  it('are those of all engines in each engine’s statistics', async () => {
    await test.serve({ slow: one });
    for (let k = 0; k < 6; k += 1) await test.infer('slow', 1);
    const { body } = await test.send('GET', '/v2/models/slow/stats');
    expect(JSON.parse(body).model_stats).toMatchObject([
      { name: 'slow', version: '1', inference_stats: { success: { count: 6 } } },
    ]);
  });
});

describe('a version that cannot be opened', () => {
  it('is refused by every engine for what it is', async () => {
    await writeFile(two.modelPath, 'no model');
    const [outcome] = await test.pool.prepare([{ files: two, execution: {} }]);
    expect(outcome).toMatchObject({ outcome: 'refused', code: expect.any(String) });
    expect(test.deaths).toEqual([]);
  });
});
