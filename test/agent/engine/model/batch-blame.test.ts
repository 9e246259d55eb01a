import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ALONE_MS } from '../../../../agent/engine/model/batch-calls.ts';
import { Batcher } from '../../../../agent/engine/model/batcher.ts';
import type { Session } from '../../../../agent/engine/model/runtime.ts';
import { type JobSpec, NotedJob, settle, states } from '../../../support/batch-jobs.ts';
import { DoublingInline, DoublingSession, POISON } from '../../../support/doubling-session.ts';

const OPTIONS = { maxBatchSize: 4, maxQueueDelayUs: 0, maxQueueRequests: 10 };

/** A model with a fixed size inside: whatever is not one row fails. */
class OneRowOnly extends DoublingInline {
  fixed = true;

  override runSync(inputs: Parameters<DoublingInline['runSync']>[0]) {
    const outputs = super.runSync(inputs);
    if (this.fixed && this.rows.at(-1) !== 1) throw new Error('the model reshapes to [1,2]');
    return outputs;
  }
}

function stand<T extends DoublingSession>(session: T) {
  const batcher = new Batcher(session as Session, OPTIONS);
  const submit = (id: number, spec: JobSpec = {}) => {
    const job = new NotedJob(id, spec);
    batcher.submit(job);
    return job;
  };
  /** Three jobs that could share a call; resolves with the rows of the calls that were made. */
  const round = async (ids = [1, 2, 3]) => {
    session.rows.length = 0;
    const jobs = ids.map((id) => submit(id));
    await vi.advanceTimersToNextTimerAsync();
    expect(states(jobs)).toEqual(ids.map((id) => (id === POISON ? 'RangeError: poison' : 'done')));
    return [...session.rows];
  };
  return { session, submit, round };
}

// The clock is Node's, not ours: the tests turn it by hand.
beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance', 'setTimeout', 'clearTimeout', 'setImmediate'] });
});
afterEach(() => {
  vi.useRealTimers();
});

describe('who is to blame for a shared call that failed', () => {
  it.each([
    ['left', { left: true }, Number.POSITIVE_INFINITY],
    ['let its deadline pass', {}, 7],
  ])('is not known when a job %s before it was run alone', async (_, after, waitsMs) => {
    const { session, submit } = stand(new DoublingSession(1));
    const end = async () => {
      vi.advanceTimersByTime(5);
      session.open[0].end();
      await settle();
    };
    for (let round = 0; round < 5; round += 1) {
      submit(0);
      const deadlineMs = performance.now() + waitsMs;
      const jobs = [submit(1), submit(POISON, { deadlineMs }), submit(2)];
      await end();
      Object.assign(jobs[1], after);
      while (session.open.length > 0) await end();
      expect(states(jobs)).toEqual(['done', 'deadline_exceeded', 'done']);
      expect(session.rows.splice(0)).toEqual([1, 3, 1, 1]);
    }
  });

  it('is the model after three in a row, for a minute; then one more is enough', async () => {
    const { round } = stand(new OneRowOnly());
    for (let call = 0; call < 3; call += 1) expect(await round()).toEqual([3, 1, 1, 1]);
    expect(await round()).toEqual([1, 1, 1]);
    vi.advanceTimersByTime(ALONE_MS);
    expect(await round()).toEqual([3, 1, 1, 1]);
    expect(await round()).toEqual([1, 1, 1]);
  });

  it('is forgotten by a shared call that succeeds', async () => {
    const { session, round } = stand(new OneRowOnly());
    for (let call = 0; call < 3; call += 1) await round();
    vi.advanceTimersByTime(ALONE_MS);
    session.fixed = false;
    expect(await round()).toEqual([3]);
    session.fixed = true;
    for (let call = 0; call < 3; call += 1) expect(await round()).toEqual([3, 1, 1, 1]);
    expect(await round()).toEqual([1, 1, 1]);
  });

  it('is the job that fails alone too, and then nobody else', async () => {
    const { round } = stand(new OneRowOnly());
    for (const bad of [2, 2, POISON, 2, 2]) expect(await round([1, bad])).toEqual([2, 1, 1]);
    expect(await round()).toEqual([3, 1, 1, 1]);
    expect(await round()).toEqual([1, 1, 1]);
  });
});
