import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Batcher, type BatcherOptions } from '../../../../agent/engine/model/batcher.ts';
import type { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import { type JobSpec, NotedJob, settle, states } from '../../../support/batch-jobs.ts';
import { DoublingSession, POISON } from '../../../support/doubling-session.ts';

const OPTIONS: BatcherOptions = { maxBatchSize: 4, maxQueueDelayUs: 0, maxQueueRequests: 10 };

function stand(lanes: number, options: Partial<BatcherOptions> = {}) {
  const session = new DoublingSession(lanes);
  const batcher = new Batcher(session, { ...OPTIONS, ...options });
  const submit = (id: number, spec: JobSpec = {}) => {
    const job = new NotedJob(id, spec);
    batcher.submit(job);
    return job;
  };
  const end = async (at = 0) => {
    session.open[at].end();
    await settle();
  };
  return { session, batcher, submit, end };
}

describe('a batcher before a session with threads', () => {
  // The clock is Node's, not ours: the tests turn it by hand.
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout'] });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('gives each free lane a job at once, and the next free one all that waits', async () => {
    const { session, batcher, submit, end } = stand(2);
    const jobs = Array.from({ length: 8 }, (_, id) => submit(id));
    expect(session.seen).toEqual([[0], [1]]);
    expect([batcher.running, batcher.queued]).toEqual([2, 6]);
    await end(1);
    expect(session.seen.slice(2)).toEqual([[2, 3, 4, 5]]);
    await end(0);
    await end(0);
    await end(0);
    expect(session.seen.slice(3)).toEqual([[6, 7]]);
    expect(states(jobs)).toEqual(Array(8).fill('done'));
    expect(jobs.every(({ id, outputs }) => outputs?.get('x')?.data[0] === 2 * id)).toBe(true);
  });

  it('keeps the lane busy before it hands the answers out', async () => {
    const { session, submit, end } = stand(1);
    const first = submit(0);
    submit(1);
    let calls = 0;
    first.onAnswer = () => {
      calls = session.rows.length;
    };
    await end();
    expect(calls).toBe(2);
  });

  it('never waits when idle, whatever the delay', () => {
    const { session, submit } = stand(2, { maxQueueDelayUs: 10_000 });
    submit(0);
    expect(session.rows).toEqual([1]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('holds a free lane back for company beside busy ones, for the delay and no longer', async () => {
    const { session, submit } = stand(2, { maxQueueDelayUs: 10_000 });
    submit(0);
    submit(1);
    vi.advanceTimersByTime(5);
    submit(2);
    vi.advanceTimersByTime(4);
    expect(session.seen).toEqual([[0]]);
    vi.advanceTimersByTime(1);
    expect(session.seen).toEqual([[0], [1, 2]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('ends the delay when the batch is full, or when nothing is being computed any more', async () => {
    const full = stand(2, { maxQueueDelayUs: 10_000 });
    for (let id = 0; id < 5; id += 1) full.submit(id);
    expect(full.session.seen).toEqual([[0], [1, 2, 3, 4]]);
    const idle = stand(2, { maxQueueDelayUs: 10_000 });
    idle.submit(0);
    idle.submit(1);
    await idle.end();
    expect(idle.session.seen).toEqual([[0], [1]]);
    expect(vi.getTimerCount()).toBe(0);
  });

  it('does not hold back what can have no company', () => {
    const { session, submit } = stand(3, { maxQueueDelayUs: 10_000 });
    submit(0);
    submit(1, { rows: 4 });
    submit(2, { rows: 0 });
    expect(session.rows).toEqual([1, 4, 0]);
  });

  it('answers an expired job at its deadline, not when a lane gets free', async () => {
    const { session, batcher, submit, end } = stand(1);
    submit(0);
    const late = submit(1, { deadlineMs: performance.now() + 20 });
    const later = submit(2, { deadlineMs: performance.now() + 30 });
    const patient = submit(3);
    vi.advanceTimersByTime(19);
    expect(late.state).toBe('open');
    vi.advanceTimersByTime(1);
    expect(states([late, later])).toEqual(['deadline_exceeded', 'open']);
    vi.advanceTimersByTime(10);
    expect(states([late, later, patient])).toEqual([
      'deadline_exceeded',
      'deadline_exceeded',
      'open',
    ]);
    expect([batcher.queued, vi.getTimerCount()]).toEqual([1, 0]);
    await end();
    expect(session.seen).toEqual([[0], [3]]);
  });

  it('refuses what is expired or gone when it comes, and drops it at dispatch', async () => {
    const { session, submit, end } = stand(1);
    const stale = submit(0, { deadlineMs: performance.now() });
    submit(1);
    const left = submit(2);
    left.left = true;
    await end();
    expect(states([stale, left])).toEqual(['deadline_exceeded', 'deadline_exceeded']);
    expect(session.seen).toEqual([[1]]);
  });

  it('serves the urgent first', async () => {
    const { session, submit, end } = stand(1);
    submit(0);
    for (const [at, priority] of [3, 2, 1, 2, 1].entries()) submit(at + 1, { priority });
    await end();
    await end();
    expect(session.seen).toEqual([[0], [3, 5, 2, 4], [1]]);
  });

  it('refuses one more than the bound, with the time its queue will take', async () => {
    const { submit, batcher, end } = stand(1);
    submit(0);
    vi.advanceTimersByTime(3000);
    await end();
    submit(0);
    const jobs = Array.from({ length: 11 }, (_, id) => submit(id));
    expect(batcher.queued).toBe(10);
    expect(states(jobs.slice(9))).toEqual(['open', 'overloaded']);
    expect((jobs[10].error as OipError).retryAfterSeconds).toBe(30);
  });

  it('gives the places of those who left to those who wait', () => {
    const { submit, batcher } = stand(1);
    submit(0);
    const jobs = Array.from({ length: 10 }, (_, id) => submit(id));
    jobs[4].left = true;
    expect([submit(11).state, submit(12).state]).toEqual(['open', 'overloaded']);
    expect([jobs[4].state, batcher.queued]).toEqual(['deadline_exceeded', 10]);
  });

  it('fails the bad neighbour alone, on the same lane', async () => {
    const { session, submit, end } = stand(1);
    submit(0);
    const jobs = [1, POISON, 3].map((id) => submit(id));
    for (let i = 0; i < 5; i += 1) await end();
    expect(states(jobs)).toEqual(['done', 'RangeError: poison', 'done']);
    expect(session.rows).toEqual([1, 3, 1, 1, 1]);
  });

  it('does not compute a neighbour again who left meanwhile', async () => {
    const { session, submit, end } = stand(1);
    submit(0);
    const jobs = [1, POISON, 3].map((id) => submit(id));
    await end();
    await end();
    jobs[2].left = true;
    await end();
    await end();
    expect(states(jobs)).toEqual(['done', 'RangeError: poison', 'deadline_exceeded']);
    expect(session.rows).toEqual([1, 3, 1, 1]);
  });

  it('answers the neighbours of a receiver that throws', async () => {
    const uncaught: unknown[] = [];
    vi.stubGlobal('queueMicrotask', (run: () => void) => {
      try {
        run();
      } catch (error) {
        uncaught.push(error);
      }
    });
    const { submit, end } = stand(1);
    submit(0);
    const jobs = [1, 2, 3].map((id) => submit(id));
    jobs[1].onAnswer = () => {
      throw new Error('receiver');
    };
    await end();
    await end();
    vi.unstubAllGlobals();
    expect(states(jobs)).toEqual(['done', 'done', 'done']);
    expect(uncaught).toHaveLength(1);
  });

  it('fails what waits when it is closed, and answers what is being computed', async () => {
    const { submit, batcher, end } = stand(1);
    const running = submit(0);
    const waiting = submit(1, { deadlineMs: 1e6 });
    batcher.close();
    const late = submit(2);
    await end();
    expect(states([running, waiting, late])).toEqual(['done', 'not_ready', 'not_ready']);
    expect([batcher.queued, vi.getTimerCount()]).toEqual([0, 0]);
  });
});

it('a delay below a millisecond is kept to', async () => {
  const { session, submit } = stand(2, { maxQueueDelayUs: 300 });
  submit(0);
  const called = new Promise<number>((resolve) => {
    session.onCall = () => resolve(performance.now());
  });
  const since = performance.now();
  submit(1);
  expect(session.rows).toEqual([1]);
  expect((await called) - since).toBeGreaterThanOrEqual(0.3);
});
