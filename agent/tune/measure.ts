import type { Tensors } from '../engine/model/rows.ts';
import type { Session } from '../engine/model/runtime.ts';

/** A median of fewer calls is chance. */
const MIN_CALLS = 3;
/** Over so long it is not: the rest of a budget would only heat the host. */
const ENOUGH_MS = 150;
/** Code that runs for microseconds is compiled only after thousands of calls; a session of seconds is warm after two. */
const WARM_UP_CALLS = 2;
const WARM_UP_MS = 50;
/** Of which the median counts. */
const RUNS_TOGETHER = 3;

export interface Measured {
  /** Median time of a call that has the session to itself. */
  readonly callUs: number;
  /** Calls per second with as many on their way as the session has lanes. */
  readonly callsPerSecond: number;
}

/**
 * Times calls for about `budgetMs` at most, never fewer than three: half of it one after the other, half of it in every
 * lane. Without lanes calls can't overlap, and the first half says all. Rejects with what the model throws.
 */
export async function measure(
  session: Session,
  inputs: Tensors,
  budgetMs: number,
): Promise<Measured> {
  await repeat(session, inputs, WARM_UP_CALLS, Math.min(WARM_UP_MS, budgetMs / 4));
  const share = Math.min(ENOUGH_MS, session.lanes > 1 ? budgetMs / 2 : budgetMs);
  const times = await repeat(session, inputs, MIN_CALLS, share);
  // A clock of coarse ticks may say 0 for a call of microseconds.
  const callUs = Math.max(0.1, 1000 * medianOf(times));
  // Medians throughout: a host that serves meanwhile interrupts this process for milliseconds at a time.
  if (session.lanes <= 1) return { callUs, callsPerSecond: 1e6 / callUs };
  const rates: number[] = [];
  for (let run = 0; run < RUNS_TOGETHER; run += 1) {
    rates.push(await together(session, inputs, share / RUNS_TOGETHER));
  }
  return { callUs, callsPerSecond: medianOf(rates) };
}

function medianOf(values: number[]): number {
  values.sort((a, b) => a - b);
  return values[values.length >> 1] ?? 0;
}

/** The milliseconds of each call; at least `atLeast` of them, and then as long as `forMs` lasts. */
async function repeat(
  session: Session,
  inputs: Tensors,
  atLeast: number,
  forMs: number,
): Promise<number[]> {
  const times: number[] = [];
  const start = performance.now();
  let now = start;
  while (times.length < atLeast || now - start < forMs) {
    const before = now;
    await call(session, inputs);
    now = performance.now();
    times.push(now - before);
  }
  return times;
}

/** Each lane makes its next call as soon as its last has ended. */
async function together(session: Session, inputs: Tensors, budgetMs: number): Promise<number> {
  const start = performance.now();
  let done = 0;
  const lane = async () => {
    let calls = 0;
    while (calls < 1 || performance.now() - start < budgetMs) {
      await call(session, inputs);
      calls += 1;
    }
    done += calls;
  };
  await Promise.all(Array.from({ length: session.lanes }, lane));
  return (1000 * done) / (performance.now() - start);
}

async function call(session: Session, inputs: Tensors): Promise<void> {
  if (session.runSync === undefined) await session.run(inputs);
  else session.runSync(inputs);
}
