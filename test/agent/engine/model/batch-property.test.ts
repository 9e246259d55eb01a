import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Batcher } from '../../../../agent/engine/model/batcher.ts';
import { NotedJob, settle } from '../../../support/batch-jobs.ts';
import { DoublingInline, DoublingSession, POISON } from '../../../support/doubling-session.ts';

const submission = fc.record({
  rows: fc.integer({ min: 0, max: 5 }),
  width: fc.integer({ min: 1, max: 2 }),
  priority: fc.integer({ min: 1, max: 3 }),
  patienceMs: fc.option(fc.integer({ min: 0, max: 12 })),
  poison: fc.nat(7).map((one) => one === 0),
});
const step = fc.oneof(
  { weight: 6, arbitrary: fc.record({ submit: submission }) },
  { weight: 3, arbitrary: fc.record({ end: fc.nat(9) }) },
  { weight: 1, arbitrary: fc.record({ fail: fc.nat(9) }) },
  { weight: 2, arbitrary: fc.record({ passMs: fc.integer({ min: 1, max: 6 }) }) },
  { weight: 1, arbitrary: fc.record({ leave: fc.nat(99) }) },
);
const setting = fc.record({
  lanes: fc.integer({ min: 0, max: 3 }),
  sync: fc.boolean(),
  maxBatchSize: fc.integer({ min: 1, max: 6 }),
  maxQueueDelayUs: fc.constantFrom(0, 3000),
  maxQueueRequests: fc.integer({ min: 1, max: 12 }),
});

type Valued<A> = A extends fc.Arbitrary<infer T> ? T : never;
type Submission = Valued<typeof submission>;
type Step = Valued<typeof step>;
type Setting = Valued<typeof setting>;

class Run {
  readonly session: DoublingSession;
  readonly batcher: Batcher;
  readonly jobs: NotedJob[] = [];
  readonly violations: unknown[] = [];
  readonly #options: Setting;
  readonly #called = new Set<number>();
  #id = 0;

  constructor(options: Setting) {
    this.#options = options;
    const { lanes, sync } = options;
    this.session = lanes === 0 && sync ? new DoublingInline() : new DoublingSession(lanes);
    this.batcher = new Batcher(this.session, options);
    this.session.onCall = () => {
      try {
        this.#checkCall();
      } catch (violation) {
        // Thrown here it would be the model's error, and answered as such.
        this.violations.push(violation);
      }
    };
  }

  async take(one: Step): Promise<void> {
    if ('submit' in one) this.#submit(one.submit);
    else if ('end' in one) this.session.open.at(one.end % this.session.open.length)?.end();
    else if ('fail' in one) {
      this.session.open.at(one.fail % this.session.open.length)?.fail(new Error('transient'));
    } else if ('passMs' in one) vi.advanceTimersByTime(one.passMs);
    else this.#leave(one.leave);
    await settle();
  }

  async finish(): Promise<void> {
    do {
      // No time passes any more: what waits must get its lane, and timers must be cleared, by calls ending alone.
      vi.advanceTimersByTime(0);
      for (const call of this.session.open) call.end();
      await settle();
    } while (this.session.open.length > 0);
  }

  #submit(spec: Submission): void {
    const poisoned = spec.poison && spec.rows > 0;
    this.#id += 1;
    const deadlineMs = spec.patienceMs === null ? Infinity : performance.now() + spec.patienceMs;
    const job = new NotedJob(poisoned ? POISON : this.#id, { ...spec, deadlineMs });
    this.jobs.push(job);
    const before = this.batcher.queued;
    this.batcher.submit(job);
    if (job.state === 'overloaded') expect(before).toBe(this.#options.maxQueueRequests);
    expect(this.batcher.queued).toBeLessThanOrEqual(this.#options.maxQueueRequests);
  }

  #leave(at: number): void {
    const job = this.jobs.at(at % this.jobs.length);
    if (job !== undefined) job.left = true;
  }

  #checkCall(): void {
    const { lanes, maxBatchSize } = this.#options;
    expect(this.session.open.length).toBeLessThanOrEqual(Math.max(lanes, 1));
    const carried = this.session.seen.at(-1) ?? [];
    const ids = new Set(carried);
    if (ids.size > 1) expect(carried.length).toBeLessThanOrEqual(maxBatchSize);
    // Within a call: by priority, then as they came.
    ids.delete(POISON);
    const order = [...ids].flatMap((id) => this.jobs.find((job) => job.id === id) ?? []);
    const sorted = [...order].sort((a, b) => a.priority - b.priority);
    expect(order.map(({ priority }) => priority)).toEqual(sorted.map(({ priority }) => priority));
    for (const job of order) expect(job.state).toBe('open');
    this.#checkUrgency(order);
    for (const id of ids) this.#called.add(id);
  }

  /** Nobody more urgent waits while a call is made; but a call that failed is run again where it was. */
  #checkUrgency(order: readonly NotedJob[]): void {
    if (order.some(({ id }) => this.#called.has(id))) return;
    const least = Math.max(...order.map(({ priority }) => priority));
    for (const { id, rows, state, priority } of this.jobs) {
      const waits = id !== POISON && rows > 0 && state === 'open';
      if (waits && !this.#called.has(id) && !order.some((job) => job.id === id)) {
        expect(priority).toBeGreaterThanOrEqual(least);
      }
    }
  }
}

describe('whatever is submitted, ended, failed, expired and left in whatever order', () => {
  beforeEach(() => {
    vi.useFakeTimers({
      toFake: ['performance', 'setTimeout', 'clearTimeout', 'setImmediate', 'clearImmediate'],
    });
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('every job is answered once, right, in order, and no timer stays', async () => {
    const steps = fc.array(step, { minLength: 1, maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(setting, steps, async (options, list) => {
        const run = new Run(options);
        for (const one of list) await run.take(one);
        await run.finish();
        expect(run.violations).toEqual([]);
        for (const job of run.jobs) checkAnswer(job);
        for (const priority of [1, 2, 3]) {
          const called = firstCalls(run, priority);
          expect(called).toEqual([...called].sort((a, b) => a - b));
        }
        expect([run.batcher.queued, run.batcher.running]).toEqual([0, 0]);
        expect(vi.getTimerCount()).toBe(0);
      }),
      { numRuns: 1000 },
    );
  });
});

function checkAnswer(job: NotedJob): void {
  expect(job.answers).toBe(1);
  if (job.state === 'done') {
    expect(job.id).not.toBe(POISON);
    const { shape, data } = job.outputs?.get('x') ?? {};
    expect(shape).toEqual(job.inputs.get('x')?.shape);
    expect(data).toEqual(new Float32Array(data?.length ?? 0).fill(2 * job.id));
    expect(job.times?.endedMs).toBeGreaterThanOrEqual(job.times?.startedMs ?? Infinity);
    return;
  }
  if (job.state === 'deadline_exceeded') expect(job.left || job.deadlineMs < Infinity).toBe(true);
  else if (job.state.includes('poison')) expect(job.id).toBe(POISON);
  else expect(job.state).toMatch(/overloaded|transient/);
}

/** Those of one priority, in the order in which they were first computed. */
function firstCalls(run: Run, priority: number): number[] {
  const called = new Set(run.session.seen.flat());
  called.delete(POISON);
  const priorities = new Map(run.jobs.map((job) => [job.id, job.priority]));
  return [...called].filter((id) => priorities.get(id) === priority);
}
