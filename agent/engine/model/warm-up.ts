import type { Manifest } from '../../../protocol/manifest.ts';
import { checkGolden, type Golden, goldenInputs, withinTolerance } from './golden.ts';
import { batchable, commonRows, sliceRows, syntheticRow, type Tensors } from './rows.ts';
import type { Session } from './runtime.ts';

/** Calls of which the median is taken, and the time after which there are enough of them. */
const TIMED_CALLS = 9;
const TIMED_MS = 20;
/** Golden rows that are run together and one by one; a model of images must not take minutes for it. */
const ROWS_SHOWN = 8;

/** Runs the golden vectors on every thread of a session; throws `Refusal` 'golden-mismatch'. */
export async function checkOnEveryLane(session: Session, golden: Golden): Promise<void> {
  // Calls that come together go to different threads.
  const lanes = Array.from({ length: Math.max(1, session.lanes) }, () =>
    checkGolden(session, golden),
  );
  await Promise.all(lanes);
}

/** The smallest call that is known of a model: its first golden row, or one made of nothing. */
export function oneRow(manifest: Manifest, golden: Golden | null): Tensors {
  if (golden === null) return syntheticRow(manifest);
  const inputs = goldenInputs(golden);
  const rows = batchable(manifest) ? commonRows(inputs) : null;
  return rows === null || rows === 0 ? inputs : sliceRows(inputs, 0, 1);
}

/** Median time of a call in microseconds, hand-off to a thread included. */
export async function medianRunUs(session: Session, inputs: Tensors): Promise<number> {
  const times: number[] = [];
  const began = performance.now();
  // A first call that was not warm counts only where no other is made.
  for (let call = 0; call <= TIMED_CALLS; call += 1) {
    const start = performance.now();
    if (session.runSync === undefined) await session.run(inputs);
    else session.runSync(inputs);
    const end = performance.now();
    if (call > 0) times.push(end - start);
    if (end - began > TIMED_MS) {
      if (times.length === 0) times.push(end - start);
      break;
    }
  }
  times.sort((a, b) => a - b);
  return times[Math.floor(times.length / 2)] * 1000;
}

/** Turns and milliseconds of each in which V8 gets to optimise a model in TypeScript: it takes some thousand rows. */
const OPTIMISING_TURNS = 20;
const OPTIMISING_TURN_MS = 1;

/** Runs code that is compiled as it runs until it is as fast as it gets, a millisecond per turn of the event loop. */
export async function untilOptimised(runOnce: () => void): Promise<void> {
  for (let turn = 0; turn < OPTIMISING_TURNS; turn += 1) {
    const end = performance.now() + OPTIMISING_TURN_MS;
    while (performance.now() < end) runOnce();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/**
 * Do rows leave each other alone? Shown, not assumed: the golden rows give the same together and one by one, within
 * the golden tolerance. False without at least two golden rows, and where a first dimension is not free.
 */
export async function rowsIndependent(
  session: Session,
  manifest: Manifest,
  golden: Golden | null,
): Promise<boolean> {
  if (golden === null || !batchable(manifest)) return false;
  const inputs = goldenInputs(golden);
  const rows = Math.min(ROWS_SHOWN, commonRows(inputs) ?? 0);
  if (rows < 2) return false;
  try {
    return await sameAlone(session, sliceRows(inputs, 0, rows), rows, golden.tolerance);
  } catch {
    // A model that does not take a row by itself: nothing was shown, and the golden rows together did agree.
    return false;
  }
}

async function sameAlone(
  session: Session,
  inputs: Tensors,
  rows: number,
  tolerance: Golden['tolerance'],
): Promise<boolean> {
  const together = await session.run(inputs);
  if (commonRows(together) !== rows) return false;
  for (let row = 0; row < rows; row += 1) {
    const alone = await session.run(sliceRows(inputs, row, row + 1));
    for (const [name, want] of sliceRows(together, row, row + 1)) {
      const have = alone.get(name);
      if (have === undefined || have.shape.join() !== want.shape.join()) return false;
      for (let at = 0; at < want.data.length; at += 1) {
        if (!withinTolerance(have.data[at], want.data[at], tolerance)) return false;
      }
    }
  }
  return true;
}
