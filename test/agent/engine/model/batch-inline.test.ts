import { describe, expect, it } from 'vitest';
import { Batcher, type BatcherOptions } from '../../../../agent/engine/model/batcher.ts';
import type { Session, Tensor } from '../../../../agent/engine/model/runtime.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import { type JobSpec, NotedJob, settle, states } from '../../../support/batch-jobs.ts';
import { DoublingInline, DoublingSession, POISON } from '../../../support/doubling-session.ts';

const OPTIONS: BatcherOptions = { maxBatchSize: 8, maxQueueDelayUs: 0, maxQueueRequests: 100 };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function submitted(batcher: Batcher, count: number, spec: (at: number) => JobSpec = () => ({})) {
  const jobs = Array.from({ length: count }, (_, at) => new NotedJob(at, spec(at)));
  for (const job of jobs) batcher.submit(job);
  return jobs;
}

describe('a batcher before a session that blocks its thread', () => {
  it('computes what one turn gathered in as few calls as the maximum allows, in order', async () => {
    const session = new DoublingInline();
    const batcher = new Batcher(session, OPTIONS);
    const jobs = submitted(batcher, 10);
    expect([session.rows, batcher.queued]).toEqual([[], 10]);
    await turn();
    expect(session.seen).toEqual([
      [0, 1, 2, 3, 4, 5, 6, 7],
      [8, 9],
    ]);
    expect(jobs.map(({ outputs }) => outputs?.get('x'))).toEqual(
      jobs.map(({ id }) => ({
        datatype: 'FP32',
        shape: [1, 2],
        data: Float32Array.of(2 * id, 2 * id),
      })),
    );
    expect(jobs.map(({ times }) => [times?.batchRows, times?.first])).toEqual(
      jobs.map(({ id }) => [id < 8 ? 8 : 2, id % 8 === 0]),
    );
  });

  it('passes one job through as it is, in and out', async () => {
    const made = new Map<string, Tensor>();
    const given: unknown[] = [];
    const session: Session = {
      provider: 'cpu',
      lanes: 0,
      run: async () => made,
      runSync: (inputs) => {
        given.push(inputs);
        return made;
      },
      release: async () => {},
    };
    const [job] = submitted(new Batcher(session, OPTIONS), 1);
    await turn();
    expect(given[0]).toBe(job.inputs);
    expect(job.outputs).toBe(made);
  });

  it("counts a caller's own batch, never splits it, and lets a whole one go alone", async () => {
    const session = new DoublingInline();
    submitted(new Batcher(session, OPTIONS), 6, (at) => ({ rows: [3, 5, 1, 8, 9, 2][at] }));
    await turn();
    expect(session.rows).toEqual([8, 1, 8, 9, 2]);
  });

  it('puts nothing together with a maximum of 1, nor what does not fit', async () => {
    const alone = new DoublingInline();
    submitted(new Batcher(alone, { ...OPTIONS, maxBatchSize: 1 }), 3);
    const mixed = new DoublingInline();
    const jobs = submitted(new Batcher(mixed, OPTIONS), 5, (at) => ({
      width: at < 2 ? 2 : 3,
      rows: at === 4 ? 0 : 1,
    }));
    await turn();
    expect([alone.rows, mixed.rows]).toEqual([
      [1, 1, 1],
      [2, 2, 0],
    ]);
    expect(states(jobs)).toEqual(Array(5).fill('done'));
  });

  it('drops the expired and the gone before it computes', async () => {
    const session = new DoublingInline();
    const batcher = new Batcher(session, OPTIONS);
    const jobs = submitted(batcher, 4, (at) => (at === 1 ? { deadlineMs: performance.now() } : {}));
    jobs[2].left = true;
    await turn();
    expect(session.seen).toEqual([[0, 3]]);
    expect(states(jobs)).toEqual(['done', 'deadline_exceeded', 'deadline_exceeded', 'done']);
    expect(String(jobs[1].error)).toMatch(/timeout/);
  });

  it('fails the bad neighbour alone, with what the model threw', async () => {
    const jobs = [1, 2, POISON, 4].map((id) => new NotedJob(id));
    const batcher = new Batcher(new DoublingInline(), OPTIONS);
    for (const job of jobs) batcher.submit(job);
    await turn();
    expect(states(jobs)).toEqual(['done', 'done', 'RangeError: poison', 'done']);
    expect(jobs[3].times).toMatchObject({ batchRows: 1, first: true });
  });

  it('serves the urgent first', async () => {
    const session = new DoublingInline();
    submitted(new Batcher(session, OPTIONS), 5, (at) => ({ priority: [3, 2, 1, 2, 1][at] }));
    await turn();
    expect(session.seen).toEqual([[2, 4, 1, 3, 0]]);
  });

  it('refuses one more than the bound, and says when to come back', async () => {
    const jobs = submitted(new Batcher(new DoublingInline(), OPTIONS), 101);
    await turn();
    expect(states(jobs)).toEqual([...Array(100).fill('done'), 'overloaded']);
    const error = jobs[100].error as OipError;
    expect([error.status, error.retryAfterSeconds]).toEqual([503, 1]);
    expect(error.message).toMatch(/100 requests wait.*maxQueueRequests/);
    expect(new OipError('not_ready', '').retryAfterSeconds).toBeNull();
  });

  it.each([
    ['sums its rows', () => new Map([['y', floats([1], 1)]]), 4, [3, 1, 1, 1, 1, 1]],
    ['gives a scalar', () => new Map([['y', floats([], 1)]]), 4, [3, 1, 1, 1, 1, 1]],
  ])('notices a model that %s, and asks it singly from then on', async (_, model, total, rows) => {
    const seen: number[] = [];
    const session: Session = {
      provider: 'cpu',
      lanes: 0,
      run: async () => model(),
      runSync: (inputs) => {
        seen.push(inputs.get('x')?.shape[0] ?? 0);
        return model();
      },
      release: async () => {},
    };
    const batcher = new Batcher(session, OPTIONS);
    const jobs = submitted(batcher, 3);
    await turn();
    jobs.push(...submitted(batcher, total - 2));
    await turn();
    expect(seen).toEqual(rows);
    expect(states(jobs)).toEqual(Array(5).fill('done'));
  });

  it('gives up sharing with a model that fails every shared call', async () => {
    const session = new DoublingInline();
    const inner = session.runSync.bind(session);
    session.runSync = (inputs) => {
      const outputs = inner(inputs);
      if (inputs.get('x')?.shape[0] !== 1) throw new Error('a fixed size inside');
      return outputs;
    };
    const batcher = new Batcher(session, OPTIONS);
    for (let i = 0; i < 5; i += 1) {
      const jobs = submitted(batcher, 2);
      await turn();
      expect(states(jobs)).toEqual(['done', 'done']);
    }
    expect(session.rows.filter((rows) => rows === 2)).toHaveLength(3);
  });

  it('reads what came in between calls that take long, and lets the urgent pass', async () => {
    const session = new DoublingInline();
    const batcher = new Batcher(session, { ...OPTIONS, maxBatchSize: 1 });
    session.onCall = () => {
      for (const until = performance.now() + 6; performance.now() < until; );
    };
    submitted(batcher, 3);
    await turn();
    expect(session.rows).toHaveLength(1);
    batcher.submit(new NotedJob(9, { priority: 1 }));
    while (batcher.queued > 0) await turn();
    expect(session.seen).toEqual([[0], [9], [1], [2]]);
  });

  it('awaits a session without runSync, one call at a time', async () => {
    const session = new DoublingSession(0);
    const batcher = new Batcher(session, OPTIONS);
    const first = submitted(batcher, 9);
    await turn();
    expect([session.rows, batcher.running, batcher.queued]).toEqual([[8], 8, 1]);
    const late = submitted(batcher, 2);
    session.open[0].end();
    await settle();
    expect(states(first.slice(0, 8))).toEqual(Array(8).fill('done'));
    expect(session.rows).toEqual([8, 3]);
    session.open[0].fail(new Error('once'));
    await settle();
    for (let i = 0; i < 3; i += 1) {
      session.open[0].end();
      await settle();
    }
    expect(states([...first, ...late])).toEqual(Array(11).fill('done'));
    expect([batcher.running, batcher.queued]).toEqual([0, 0]);
  });

  it('fails what waits when it is closed, and what comes later', async () => {
    const session = new DoublingInline();
    const batcher = new Batcher(session, OPTIONS);
    const jobs = submitted(batcher, 2);
    batcher.close();
    jobs.push(...submitted(batcher, 1));
    await turn();
    expect(states(jobs)).toEqual(Array(3).fill('not_ready'));
    expect(session.rows).toEqual([]);
  });
});

function floats(shape: number[], length: number): Tensor {
  return { datatype: 'FP32', shape, data: new Float32Array(length) };
}
