import { SketchError } from '../sketch/error.ts';
import type { Interval } from './wilson.ts';

/**
 * What a rate over all rows can be when some labels are missing, without a word about why they are: all missing ones
 * misses, or all hits (Manski 1989, "Anatomy of the selection problem"). Says nothing of chance; [0, 1] without rows.
 *
 * @param rows all rows; labels of rows that are no longer counted may make `labelled` the larger
 * @throws SketchError `value` unless 0 <= hits <= labelled
 */
export function manskiBounds(hits: number, labelled: number, rows: number): Interval {
  if (!(hits >= 0 && hits <= labelled && labelled < Infinity && rows < Infinity)) {
    throw new SketchError('value', `${hits} of ${labelled} labels: must be 0 <= hits <= labels`);
  }
  const all = Math.max(rows, labelled);
  if (all === 0) return { low: 0, high: 1 };
  return { low: hits / all, high: (hits + all - labelled) / all };
}
