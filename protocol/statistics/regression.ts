import type { Estimated } from './auc.ts';
import { Z_95 } from './wilson.ts';

/** Sums over labelled rows; error = prediction − label. */
export interface RegressionSums {
  readonly rows: number;
  readonly errorSum: number;
  readonly errorAbs: number;
  readonly errorSquares: number;
  readonly labelSum: number;
  readonly labelSquares: number;
}

export interface RegressionMetrics {
  /** Mean of prediction − label; above 0: too high. 95 % by the normal law. */
  readonly bias: Estimated;
  /** Mean absolute error, likewise. */
  readonly meanAbsoluteError: Estimated;
  readonly rootMeanSquaredError: number;
  /** 1 − Σ error² / Σ (label − mean)²; null where labels never vary. Below 0: worse than the mean. */
  readonly rSquared: number | null;
}

/** Null without rows. */
export function regressionMetrics(sums: RegressionSums): RegressionMetrics | null {
  const { rows, errorSum, errorAbs, errorSquares, labelSum, labelSquares } = sums;
  if (!(rows > 0)) return null;
  const square = errorSquares / rows;
  const scatter = labelSquares - (labelSum / rows) * labelSum;
  // What rounding of the two leaves of labels that never vary is no spread.
  const varies = scatter > labelSquares * CANCELLED;
  return {
    bias: estimated(errorSum / rows, square, rows),
    meanAbsoluteError: estimated(errorAbs / rows, square, rows),
    rootMeanSquaredError: Math.sqrt(square),
    rSquared: varies ? 1 - errorSquares / scatter : null,
  };
}

const CANCELLED = 1e-12;

function estimated(value: number, meanSquare: number, rows: number): Estimated {
  const half = Z_95 * Math.sqrt(Math.max(0, meanSquare - value * value) / rows);
  return { value, low: value - half, high: value + half };
}
