import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ModelFiles } from '../../../../agent/engine/messages.ts';
import { TestPool } from '../../../support/engine-pool.ts';
import { SLOW_SIZE, writeSlowModel } from '../../../support/slow-model.ts';
import { until } from '../../../support/stack.ts';

/** Real processes start and die, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let test: TestPool;
let one: ModelFiles;

beforeEach(async () => {
  test = await TestPool.start({ engines: 2 });
  one = await writeSlowModel(test.folder, 'slow', 1);
  await test.serve({ slow: one });
});
afterEach(() => test.stop());

const pids = async () => (await test.pool.snapshot()).processes.map(({ pid }) => pid);
const readyOf = async (path: string) => (await test.send('GET', path)).status;
const codeOf = ({ body }: { body: string }) => (JSON.parse(body) as { code?: string }).code;

describe('a drained host', () => {
  it('DRAIN-1: answers what is in flight, refuses what comes, and is not ready', async () => {
    const slow = test.infer('slow', SLOW_SIZE);
    await test.waiting(1);
    const drained = test.pool.drain(true);
    expect(test.pool.draining).toBe(true);
    const refused = await test.infer('slow', 1);
    expect([refused.status, codeOf(refused)]).toEqual([503, 'draining']);
    expect(await readyOf('/v2/health/ready')).toBe(503);
    expect(await readyOf('/v2/models/slow/ready')).toBe(503);
    expect(await readyOf('/v2/health/live')).toBe(200);
    expect((await slow).status).toBe(200);
    expect(await drained).toBe(0);
  });

  it('DRAIN-2: stays so in each engine that comes after, until it is undrained', async () => {
    await test.pool.drain(true);
    const before = await pids();
    for (const pid of before) process.kill(pid, 'SIGKILL');
    await test.death(2);
    await until('two engines', async () => (test.pool.alive === 2 ? true : null));
    for (let k = 0; k < 4; k += 1) expect((await test.infer('slow', 1)).status).toBe(503);
    expect(await test.pool.drain(false)).toBe(0);
    for (let k = 0; k < 4; k += 1) expect((await test.infer('slow', 1)).status).toBe(200);
    expect(await readyOf('/v2/health/ready')).toBe(200);
  });
});

describe('engines that are restarted', () => {
  it('COMMAND-7: are replaced one after another, and no request is refused', async () => {
    const before = await pids();
    const statuses: number[] = [];
    let restarting = true;
    const client = async () => {
      while (restarting) statuses.push((await test.infer('slow', 1)).status);
    };
    const clients = [client(), client()];
    const slow = test.infer('slow', SLOW_SIZE / 2);
    expect(await test.pool.restart()).toBe(2);
    restarting = false;
    await Promise.all(clients);
    expect((await slow).status).toBe(200);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expect(statuses.length).toBeGreaterThan(10);
    const after = await pids();
    expect(after).toHaveLength(2);
    expect(after.filter((pid) => before.includes(pid))).toEqual([]);
    expect(test.deaths).toEqual([]);
  });

  it('COMMAND-7: are as many as are wanted afterwards, and drained if the host is', async () => {
    await test.pool.drain(true);
    const restarted = test.pool.restart();
    test.pool.resize(3);
    await restarted;
    await until('three engines', async () => (test.pool.alive === 3 ? true : null));
    for (let k = 0; k < 3; k += 1) expect((await test.infer('slow', 1)).status).toBe(503);
    expect(await pids()).toHaveLength(3);
  });
});
