import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ModelFiles } from '../../../../agent/engine/messages.ts';
import { suspectOf } from '../../../../agent/rollout/blame.ts';
import { planOf, TestPool } from '../../../support/engine-pool.ts';
import { SLOW_SIZE, writeSlowModel } from '../../../support/slow-model.ts';

/** Real processes hang for real seconds, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

/** Shorter than an agent can be told, and longer than an engine on a busy machine keeps silent. */
const HANG_MS = 3_000;
/** A call of this many columns takes eight times as long as one of `SLOW_SIZE`: tens of seconds. */
const ENDLESS = 2 * SLOW_SIZE;

let test: TestPool;
let slow: ModelFiles;

beforeEach(async () => {
  test = await TestPool.start({ engines: 2, hangTimeoutMs: HANG_MS });
  slow = await writeSlowModel(test.folder, 'slow', 1);
});
afterEach(() => test.stop());

const blamed = (at: number) =>
  suspectOf(test.deaths[at], planOf({ slow }, {})[0], new Map([[slow.manifest, 1]]));

async function pids(): Promise<number[]> {
  return (await test.pool.snapshot()).processes.map(({ pid }) => pid);
}

/** Four clients, each with one request after another, until `done`. All requests have to succeed. */
async function serveUntil(
  done: Promise<unknown>,
  send: () => Promise<{ status: number }>,
): Promise<number> {
  let state: 'serving' | 'done' = 'serving';
  void done.then(() => {
    state = 'done';
  });
  let answered = 0;
  const client = async () => {
    while (state === 'serving') {
      expect((await send()).status).toBe(200);
      answered += 1;
    }
  };
  await Promise.all([client(), client(), client(), client()]);
  return answered;
}

describe('an engine that hangs', () => {
  it('inside a call in its own thread is replaced, while the other serves on', async () => {
    await test.serve({ slow }, { placement: 'inline' });
    const before = await pids();
    const endless = test.infer('slow', ENDLESS).then(
      () => 'answered',
      () => 'closed',
    );
    // Its upload is in, and its engine does not answer any more.
    await vi.waitUntil(async () => (await test.pool.snapshot()).engines.unanswered === 1, 20_000);
    // Connections that the hung engine has not taken up are answered after its death, by the other.
    const served = await serveUntil(test.death(1), () => test.infer('slow', 1));
    expect(served).toBeGreaterThan(10);
    // An inline request of a death is closed: nobody knows how far it came.
    expect(await endless).toBe('closed');
    const [death] = test.deaths;
    expect(death.cause).toMatch(/^hung \(no answer for [345] s\)$/);
    expect(death).toMatchObject({ computing: [], computedLast: slow.manifest, loading: [] });
    expect(before).toContain(death.pid);
    expect(blamed(0)).toBe(slow.manifest);
    await vi.waitUntil(() => test.pool.alive === 2, 20_000);
    expect(await pids()).not.toContain(death.pid);
    expect((await test.pool.snapshot()).engines).toMatchObject({ alive: 2, deaths: 1 });
  });

  it('inside a call on a worker thread is replaced too, and its client told', async () => {
    await test.serve({ slow });
    const endless = test.infer('slow', ENDLESS);
    await test.waiting(1);
    // This engine answers until it is killed: what is on its way then is closed, as in any death.
    const alive = () =>
      test.send('GET', '/v2/health/ready').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNRESET') return { status: 200 };
        throw error;
      });
    expect(await serveUntil(test.death(1), alive)).toBeGreaterThan(10);
    expect(JSON.parse((await endless).body)).toMatchObject({ code: 'engine_died' });
    const [death] = test.deaths;
    expect(death.cause).toMatch(/^hung \(a call on a worker thread took \d s\)$/);
    expect(death).toMatchObject({ computing: [slow.manifest], computedLast: null });
    expect(blamed(0)).toBe(slow.manifest);
  });

  it('for no reason that its journal knows is replaced, and nobody is blamed', async () => {
    const [pid] = await pids();
    process.kill(pid, 'SIGSTOP');
    const death = await test.death(1);
    expect(death).toMatchObject({ pid, computing: [], computedLast: null });
    await vi.waitUntil(() => test.pool.alive === 2, 20_000);
    expect(test.deaths).toHaveLength(1);
  });
});
