import { uniformGrid } from './grid.ts';
import { emptyNumeric, mergeNumeric, type NumericSketch } from './histogram.ts';

/** Bins of an evaluator's score over [0,1]. */
export const EVALUATOR_BINS = 32;
export const EVALUATOR_GRID = uniformGrid(0, 1, EVALUATOR_BINS);

/** What one evaluator made of the sampled answers of a window. Named by the deployment's configuration. */
export interface EvaluatorSketch {
  readonly name: string;
  /** Answers that could not be scored: the evaluator failed or was too late. */
  failed: number;
  /** Sampled answers that were not scored because too many waited. */
  dropped: number;
  /** Scores at or above the evaluator's own threshold; 1 is the worst. */
  flagged: number;
  readonly scores: NumericSketch;
}

export function emptyEvaluator(name: string): EvaluatorSketch {
  return { name, failed: 0, dropped: 0, flagged: 0, scores: emptyNumeric(EVALUATOR_GRID) };
}

/** Adds evaluators by name; those that `into` lacks are appended, in ascending order of name. */
export function mergeEvaluators(into: EvaluatorSketch[], from: readonly EvaluatorSketch[]): void {
  for (const one of from) {
    let mine = into.find(({ name }) => name === one.name);
    if (mine === undefined) {
      mine = emptyEvaluator(one.name);
      into.push(mine);
      into.sort((a, b) => (a.name < b.name ? -1 : 1));
    }
    mine.failed += one.failed;
    mine.dropped += one.dropped;
    mine.flagged += one.flagged;
    mergeNumeric(mine.scores, one.scores);
  }
}
