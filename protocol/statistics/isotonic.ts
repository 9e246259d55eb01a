import { meanScore, type ScoreBin } from './score-bins.ts';

/** The probability of y = 1 as a non-decreasing function of the score: knots in ascending order of score. */
export interface IsotonicMap {
  readonly scores: readonly number[];
  readonly probabilities: readonly number[];
}

interface Pool {
  readonly hits: number;
  readonly rows: number;
  readonly places: readonly number[];
}

/**
 * Isotonic regression of the label on the score's bins by pooling adjacent violators (Ayer et al. 1955), weighted by
 * labelled rows: the non-decreasing function nearest to the labels in squared error. A bin's place is its mean score.
 * Null without a label. Assumes that labels came for a fair part of each bin's rows.
 */
export function isotonicMap(bins: readonly ScoreBin[]): IsotonicMap | null {
  const pools: Pool[] = [];
  for (const [at, { labelled0, labelled1 }] of bins.entries()) {
    const rows = labelled0 + labelled1;
    if (rows === 0) continue;
    let pool: Pool = { hits: labelled1, rows, places: [meanScore(bins, at)] };
    for (let last = pools.at(-1); last !== undefined; last = pools.at(-1)) {
      if (last.hits * pool.rows < pool.hits * last.rows) break;
      pools.pop();
      pool = {
        hits: last.hits + pool.hits,
        rows: last.rows + pool.rows,
        places: [...last.places, ...pool.places],
      };
    }
    pools.push(pool);
  }
  if (pools.length === 0) return null;
  return {
    scores: pools.flatMap(({ places }) => places),
    probabilities: pools.flatMap(({ hits, rows, places }) => places.map(() => hits / rows)),
  };
}

/**
 * Linear between knots and constant beyond them, as scikit-learn's `IsotonicRegression(out_of_bounds='clip')`. Without a
 * map the score itself is believed, within 0 to 1.
 */
export function calibrated(map: IsotonicMap | null, score: number): number {
  if (map === null) return Math.min(1, Math.max(0, score));
  const { scores, probabilities } = map;
  const above = scores.findIndex((knot) => knot >= score);
  if (above === -1) return probabilities[probabilities.length - 1];
  if (above === 0) return probabilities[0];
  const share = (score - scores[above - 1]) / (scores[above] - scores[above - 1]);
  return probabilities[above - 1] + share * (probabilities[above] - probabilities[above - 1]);
}
