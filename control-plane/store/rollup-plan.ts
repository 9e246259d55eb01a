import { DAY_MS, HOUR_MS } from './rollups.ts';

/** Where a stretch of time is read: the windows themselves, or what they add up to. */
export type ReadLevel = 'window' | 'hour' | 'day';

/**
 * Rows of `level` that begin in [fromMs, toMs). With them belong the sealed rows of coarser levels: what they hold is
 * nowhere else.
 */
export interface Segment {
  readonly level: ReadLevel;
  readonly fromMs: number;
  readonly toMs: number;
}

/** A plan of more stretches is read from the windows alone, which is always right and only slower. */
const MAX_SEGMENTS = 40;

/**
 * The fewest rows that hold [fromMs, toMs) exactly, for points that are `stepMs` apart. An hour with something due under
 * it is read from its windows, and so are hours that the span cuts.
 *
 * @param due starts of the hours and days that are to be made anew
 */
export function planSegments(
  fromMs: number,
  toMs: number,
  stepMs: number,
  due: { readonly hours: ReadonlySet<number>; readonly days: ReadonlySet<number> },
): readonly Segment[] {
  const wanted = stepMs % DAY_MS === 0 ? DAY_MS : HOUR_MS;
  if (stepMs === 0 || stepMs % HOUR_MS !== 0 || fromMs >= toMs)
    return [{ level: 'window', fromMs, toMs }];
  const unclean = new Set([...due.days, ...[...due.hours].map((hour) => floor(hour, DAY_MS))]);
  const segments: Segment[] = [];
  for (let at = fromMs; at < toMs; ) {
    const { level, endMs } = next(at);
    const end = Math.min(endMs, toMs);
    const last = segments.at(-1);
    if (last?.level === level) segments[segments.length - 1] = { ...last, toMs: end };
    else segments.push({ level, fromMs: at, toMs: end });
    at = end;
  }
  return segments.length > MAX_SEGMENTS ? [{ level: 'window', fromMs, toMs }] : segments;

  function next(at: number): { readonly level: ReadLevel; readonly endMs: number } {
    const dayEnd = floor(at, DAY_MS) + DAY_MS;
    const hourEnd = floor(at, HOUR_MS) + HOUR_MS;
    const wholeDay = at === dayEnd - DAY_MS && dayEnd <= toMs;
    if (wanted === DAY_MS && wholeDay && !unclean.has(at)) return { level: 'day', endMs: dayEnd };
    const wholeHour = at === hourEnd - HOUR_MS && hourEnd <= toMs;
    if (wholeHour && !due.hours.has(at)) return { level: 'hour', endMs: hourEnd };
    return { level: 'window', endMs: hourEnd };
  }
}

function floor(at: number, step: number): number {
  return at - (at % step);
}
