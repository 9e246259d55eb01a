import { SketchError } from '../sketch/error.ts';

/**
 * Benjamini–Hochberg adjusted p-values, in the order given: those <= α are discoveries with a
 * false discovery rate of at most α, for independent or positively dependent tests (Benjamini and
 * Hochberg 1995; adjusted form as R's p.adjust). Controls one look, not the rate over a day.
 *
 * @throws SketchError `value` when a p-value is outside 0 to 1
 */
export function benjaminiHochberg(pValues: ArrayLike<number>): Float64Array {
  const tests = pValues.length;
  const p = Float64Array.from(pValues);
  for (const value of p) {
    if (!(value >= 0 && value <= 1)) {
      throw new SketchError('value', `p-value ${value}: must be from 0 to 1`);
    }
  }
  const order = Array.from(p.keys()).sort((a, b) => p[b] - p[a]);
  const adjusted = new Float64Array(tests);
  let smallest = 1;
  for (const [place, k] of order.entries()) {
    smallest = Math.min(smallest, (p[k] * tests) / (tests - place));
    adjusted[k] = smallest;
  }
  return adjusted;
}

/**
 * e-BH: which of K e-values are discoveries at false discovery rate `alpha`, under any dependence
 * (Wang and Ramdas 2022): the k largest, for the largest k with e_(k) >= K / (α k).
 *
 * @param logE ln of each e-value
 * @returns indices into `logE`, strongest first
 * @throws SketchError `value` unless 0 < alpha <= 1 and no e-value is NaN
 */
export function eBenjaminiHochberg(logE: ArrayLike<number>, alpha: number): number[] {
  if (!(alpha > 0 && alpha <= 1)) {
    throw new SketchError('value', `alpha ${alpha}: must be above 0, at most 1`);
  }
  const e = Float64Array.from(logE);
  if (e.some(Number.isNaN)) throw new SketchError('value', 'an e-value is NaN');
  // Not by difference: two infinite e-values would give NaN.
  const order = Array.from(e.keys()).sort((a, b) => Number(e[a] < e[b]) - Number(e[a] > e[b]));
  const enough = order.findLastIndex(
    (k, place) => e[k] >= Math.log(e.length) - Math.log(alpha) - Math.log(place + 1),
  );
  return order.slice(0, enough + 1);
}
