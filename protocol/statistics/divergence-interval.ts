import { pairCells } from './cells.ts';
import type { Interval } from './wilson.ts';

/** Rates of change of a divergence with one cell's share on either side. */
interface Slopes {
  readonly byReference: number;
  readonly byCurrent: number;
}

interface Divergence {
  /** Of one cell, given its shares p and q, both above 0. */
  readonly term: (p: number, q: number) => number;
  readonly slopes: (p: number, q: number) => Slopes;
  /** Under no drift the divergence is this × (1/n + 1/m) × χ²(cells − 1). */
  readonly nullScale: number;
}

const PSI: Divergence = {
  term: (p, q) => (q - p) * Math.log(q / p),
  slopes: (p, q) => ({
    byReference: Math.log(p / q) + 1 - q / p,
    byCurrent: Math.log(q / p) + 1 - p / q,
  }),
  nullScale: 1,
};

/** In bits; its root is the distance. */
const JENSEN_SHANNON: Divergence = {
  term: (p, q) => (p * Math.log2((2 * p) / (p + q)) + q * Math.log2((2 * q) / (p + q))) / 2,
  slopes: (p, q) => ({
    byReference: Math.log2((2 * p) / (p + q)) / 2,
    byCurrent: Math.log2((2 * q) / (p + q)) / 2,
  }),
  nullScale: 1 / (8 * Math.LN2),
};

/**
 * Interval of the PSI between the two distributions that the counts were drawn from: around the debiased PSI, with the
 * variance that PSI has under no drift, 2 (B − 1)(1/n + 1/m)² (Yurdakul 2018), plus that of the delta method, which is all
 * of it for a large drift and none under no drift. Never below 0.
 *
 * Half a count is added to each cell. So a drift that empties a cell is larger than its upper end tells: of a cell
 * without a row nobody knows whether its share is 1 in 1,000 or 0, where PSI is infinite.
 *
 * @param z quantile of the normal distribution, two-sided
 * @returns null when a side has no rows
 */
export function psiInterval(
  reference: Float64Array,
  current: Float64Array,
  z: number,
): Interval | null {
  return intervalOf(PSI, reference, current, z);
}

/** The same of the Jensen–Shannon distance, base 2, 0 to 1. */
export function jensenShannonInterval(
  reference: Float64Array,
  current: Float64Array,
  z: number,
): Interval | null {
  const interval = intervalOf(JENSEN_SHANNON, reference, current, z);
  if (interval === null) return null;
  return { low: Math.sqrt(interval.low), high: Math.min(1, Math.sqrt(interval.high)) };
}

function intervalOf(
  { term, slopes, nullScale }: Divergence,
  reference: Float64Array,
  current: Float64Array,
  z: number,
): Interval | null {
  const { occupied, referenceRows: m, currentRows: n } = pairCells(reference, current);
  if (m === 0 || n === 0) return null;
  const scale = nullScale * (1 / n + 1 / m);
  const df = occupied.length - 1;
  let value = -df * scale;
  const spread = { reference: new Scatter(), current: new Scatter() };
  for (const k of occupied) {
    const p = (reference[k] + 0.5) / (m + occupied.length / 2);
    const q = (current[k] + 0.5) / (n + occupied.length / 2);
    value += term(p, q);
    const { byReference, byCurrent } = slopes(p, q);
    spread.reference.add(p, byReference);
    spread.current.add(q, byCurrent);
  }
  const variance =
    2 * df * scale * scale + spread.reference.variance / m + spread.current.variance / n;
  const half = z * Math.sqrt(variance);
  return { low: Math.max(0, value - half), high: Math.max(0, value + half) };
}

/** Weighted variance, weights adding up to 1. */
class Scatter {
  #weight = 0;
  #mean = 0;
  #m2 = 0;

  add(weight: number, x: number): void {
    this.#weight += weight;
    const delta = x - this.#mean;
    this.#mean += (delta * weight) / this.#weight;
    this.#m2 += weight * delta * (x - this.#mean);
  }

  get variance(): number {
    return this.#m2;
  }
}
