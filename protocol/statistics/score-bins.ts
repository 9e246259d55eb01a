import { SCORE_FIELDS } from '../sketch/outcome.ts';

/** Rows of one bin of the score, by prediction and, where labels came, by truth. */
export interface ScoreBin {
  readonly negative: number;
  readonly positive: number;
  /** Σ score of the rows predicted here. */
  readonly scoreSum: number;
  readonly labelled0: number;
  readonly labelled1: number;
}

/** The bins of an outcome sketch, from score 0 to 1. */
export function scoreBins(scores: Float64Array): readonly ScoreBin[] {
  const width = SCORE_FIELDS.length;
  return Array.from({ length: scores.length / width }, (_, bin) => {
    const [negative, positive, scoreSum, labelled0, labelled1] = scores.subarray(
      bin * width,
      (bin + 1) * width,
    );
    return { negative, positive, scoreSum, labelled0, labelled1 };
  });
}

/** Mean score of a bin; its middle where labels came and no prediction is counted (a window of late labels alone). */
export function meanScore(bins: readonly ScoreBin[], at: number): number {
  const { negative, positive, scoreSum } = bins[at];
  const rows = negative + positive;
  return rows > 0 ? scoreSum / rows : (at + 0.5) / bins.length;
}
