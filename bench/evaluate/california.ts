import { binOf, uniformGrid } from '../../protocol/sketch/grid.ts';
import { estimatePerformance, trustOf } from '../../protocol/statistics/cbpe.ts';
import { isotonicMap } from '../../protocol/statistics/isotonic.ts';
import type { ScoreBin } from '../../protocol/statistics/score-bins.ts';
import { check, readRows } from './shared-data.ts';

/** H.7: is CBPE from 64 score bins within .01 of CBPE from each score, and does trust fall where the model fails? */

const SCORE_BINS = 64;
/** As the published figures have it: of the third thousand the model gets 426 right. */
const CHUNK_ROWS = 1000;
const WORST_CHUNK = 2;
const WORST_REALISED = 0.426;
const TOLERANCE = 0.01;

interface Scored {
  readonly score: number;
  readonly predicted: boolean;
  /** Null: no label came. */
  readonly truth: boolean | null;
}

type BinOf = (score: number) => number;

function countScores(rows: readonly Scored[], bins: number, binFor: BinOf): readonly ScoreBin[] {
  const counted = Array.from({ length: bins }, () => ({
    negative: 0,
    positive: 0,
    scoreSum: 0,
    labelled0: 0,
    labelled1: 0,
  }));
  for (const { score, predicted, truth } of rows) {
    const bin = counted[binFor(score)];
    bin[predicted ? 'positive' : 'negative'] += 1;
    bin.scoreSum += score;
    if (truth !== null) bin[truth ? 'labelled1' : 'labelled0'] += 1;
  }
  return counted;
}

/** One bin per score that occurs: nothing is put together, so this is the estimator on raw rows. */
function exactBins(scores: readonly number[]): { readonly bins: number; readonly binFor: BinOf } {
  const place = new Map([...new Set(scores)].sort((a, b) => a - b).map((score, at) => [score, at]));
  return { bins: place.size, binFor: (score) => place.get(score) ?? 0 };
}

function estimator(baseline: readonly Scored[], bins: number, binFor: BinOf) {
  const map = isotonicMap(countScores(baseline, bins, binFor));
  return (rows: readonly Scored[]) => estimatePerformance(countScores(rows, bins, binFor), map);
}

const reference = readRows('california_housing_reference.csv');
const analysis = readRows('california_housing_analysis.csv');
const truths = readRows('california_housing_analysis_gt.csv');
if (reference !== null && analysis !== null && truths !== null) {
  const truthOf = new Map(truths.map((row) => [row.id, row.clf_target === '1']));
  const baseline = reference.map((row) => ({
    score: Number(row.y_pred_proba),
    predicted: row.y_pred === '1',
    truth: row.clf_target === '1',
  }));
  const current = analysis.map((row) => ({
    score: Number(row.y_pred_proba),
    predicted: row.y_pred === '1',
    truth: truthOf.get(row.id) ?? null,
  }));
  const grid = uniformGrid(0, 1, SCORE_BINS);
  const exact = exactBins([...baseline, ...current].map(({ score }) => score));
  const binned = estimator(baseline, SCORE_BINS, (score) => binOf(grid, score));
  const raw = estimator(baseline, exact.bins, exact.binFor);
  let worstAccuracy = 0;
  let worstAuc = 0;
  const chunks: { realised: number; trust: number }[] = [];
  process.stdout.write('chunk  realised  CBPE   exact  trust\n');
  for (let at = 0; at * CHUNK_ROWS < current.length; at += 1) {
    const rows = current.slice(at * CHUNK_ROWS, (at + 1) * CHUNK_ROWS);
    const labelled = rows.filter(({ truth }) => truth !== null);
    const right = labelled.filter(({ truth, predicted }) => truth === predicted).length;
    const [a, b] = [binned(rows), raw(rows)];
    if (a === null || b === null) throw new Error(`chunk ${at} has no rows`);
    worstAccuracy = Math.max(worstAccuracy, Math.abs(a.accuracy - b.accuracy));
    if (a.auc !== null && b.auc !== null) worstAuc = Math.max(worstAuc, Math.abs(a.auc - b.auc));
    const realised = right / labelled.length;
    const trust = trustOf(a.accuracy, realised);
    chunks.push({ realised, trust });
    const figures = [realised, a.accuracy, b.accuracy, trust].map((value) => value.toFixed(3));
    process.stdout.write(`${String(at).padStart(5)}  ${figures.join('     ')}\n`);
  }
  check('accuracy of binned against exact', worstAccuracy <= TOLERANCE, worstAccuracy.toFixed(4));
  check('AUC of binned against exact', worstAuc <= TOLERANCE, worstAuc.toFixed(4));
  const worst = chunks[WORST_CHUNK];
  check(
    'accuracy of the third chunk',
    Math.abs(worst.realised - WORST_REALISED) < 0.0005,
    worst.realised.toFixed(4),
  );
  // In sample: the map was learned on these rows. It is what trust looks like where the assumption holds.
  const own = binned(baseline);
  const ownRight = baseline.filter(({ truth, predicted }) => truth === predicted).length;
  const ownTrust = own === null ? 0 : trustOf(own.accuracy, ownRight / baseline.length);
  check(
    'trust falls from the baseline to the third chunk, below the 0.5 that hides the estimate',
    ownTrust > 0.9 && worst.trust < 0.5,
    `baseline ${ownTrust.toFixed(3)}; realised ${worst.realised.toFixed(3)}, trust ${worst.trust.toFixed(3)}`,
  );
}
