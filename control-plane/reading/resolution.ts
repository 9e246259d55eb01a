import { ControlError } from '../error.ts';

/** Points of one answer: more can't be told apart on a screen, and each costs a measure per feature. */
export const MAX_POINTS = 1000;

/** What an unasked-for resolution aims at: a chart's width in points. */
export const WANTED_POINTS = 300;

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Steps that divide each other, so that a coarser point is the exact merge of finer ones. */
const LADDER_MS = [MINUTE_MS, 5 * MINUTE_MS, HOUR_MS, DAY_MS];

export const resolutions = ['auto', 'window', '1m', '5m', '1h', '1d'] as const;
export type Resolution = (typeof resolutions)[number];

/** The points of an answer start at multiples of `stepMs`, the first at or before `fromMs`. */
export interface Period {
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
}

/**
 * The points of [fromMs, toMs). `auto` takes the finest of window, a minute, 5 minutes, an hour and a day that gives at most
 * `wantedPoints`. No step is shorter than a window.
 *
 * @throws ControlError `invalid` when the span is negative or gives more than MAX_POINTS
 */
export function periodOf(
  fromMs: number,
  toMs: number,
  resolution: Resolution,
  windowMs: number,
  wantedPoints = WANTED_POINTS,
): Period {
  if (fromMs > toMs) {
    throw new ControlError('invalid', `from ${fromMs} lies after to ${toMs}: exchange them`);
  }
  const steps = [windowMs, ...LADDER_MS.filter((step) => step > windowMs)];
  const points = (step: number) => Math.ceil(toMs / step) - Math.floor(fromMs / step);
  const stepMs =
    resolution === 'auto'
      ? (steps.find((step) => points(step) <= wantedPoints) ?? Math.max(...steps))
      : Math.max(windowMs, stepNamed(resolution, windowMs));
  if (points(stepMs) > MAX_POINTS) {
    throw new ControlError(
      'invalid',
      `from ${fromMs} to ${toMs} is ${points(stepMs)} points of ${stepMs} ms, at most ${MAX_POINTS}: ask for a coarser resolution or a shorter span`,
    );
  }
  return { fromMs, toMs, stepMs };
}

/** Start of the point that a moment belongs to. */
export function pointOf(period: Period, atMs: number): number {
  return atMs - (atMs % period.stepMs);
}

function stepNamed(resolution: Exclude<Resolution, 'auto'>, windowMs: number): number {
  switch (resolution) {
    case 'window':
      return windowMs;
    case '1m':
      return MINUTE_MS;
    case '5m':
      return 5 * MINUTE_MS;
    case '1h':
      return HOUR_MS;
    case '1d':
      return DAY_MS;
  }
}
