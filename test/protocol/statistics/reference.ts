import { readFileSync } from 'node:fs';

interface Pair {
  readonly reference: number[];
  readonly current: number[];
  readonly chiSquare: number;
  readonly df: number;
  readonly logP: number;
  readonly psi: number;
  readonly jensenShannon: number;
  readonly lInfinity: number;
  readonly ks: number;
  readonly ksP: number;
}

/** What reference.py wrote. */
interface Reference {
  readonly pairs: Pair[];
  readonly chiSquareLogSurvival: [statistic: number, df: number, logP: number][];
  readonly kolmogorovLogSurvival: [t: number, logP: number][];
  readonly logGamma: [x: number, value: number][];
  readonly wilson: [successes: number, trials: number, low: number, high: number][];
  readonly newcombe: [a: number, m: number, b: number, n: number, low: number, high: number][];
  readonly normalQuantile: [p: number, z: number][];
  readonly normalLogSurvival: [z: number, logP: number][];
  readonly equalSamplesLogP: [n: number, steps: number, logP: number][];
  readonly twoProportions: [a: number, m: number, b: number, n: number, z: number, p: number][];
  readonly benjaminiHochberg: [pValues: number[], adjusted: number[]];
  readonly logEValue: [logP: number, logE: number][];
  readonly wasserstein: {
    readonly reference: number[];
    readonly current: number[];
    readonly distance: number;
    readonly sigma: number;
  };
}

/** Values of SciPy, statsmodels and mpmath; versions stand in the file. */
export const REFERENCE: Reference = JSON.parse(
  readFileSync(new URL('./reference.json', import.meta.url), 'utf8'),
);

/** |a − b| as a share of |b|, or itself where b is 0. */
export function relativeError(a: number, b: number): number {
  return b === 0 ? Math.abs(a) : Math.abs(a - b) / Math.abs(b);
}
