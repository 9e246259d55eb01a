import { variance } from '../../protocol/sketch/moments.ts';
import type { FeatureGrid, FeatureSketch } from '../../protocol/sketch/window.ts';
import { chiSquare, chiSquareLogSurvival } from '../../protocol/statistics/chi-square.ts';
import { allCells, compareFeature, type DriftMeasure } from '../../protocol/statistics/drift.ts';
import { logEValue } from '../../protocol/statistics/e-value.ts';
import { addToSeries, informationShare, NEW_SERIES } from './autocorrelation.ts';
import { rankTest } from './rank-test.ts';
import { countedRows } from './shared-reference.ts';
import type { Seen, StreamMemory } from './stream.ts';

/** Effects that are worth a page (`research/monitoring.md` (iii) C4): debiased PSI in nats, W1 in reference σ. */
export const PSI_FLOOR = 0.1;
export const WASSERSTEIN_FLOOR = 0.2;

/**
 * One column of a block against its reference. Evidence: the two-sample chi-square, which sees any change of shape, and
 * for numbers the rank test, which sees small shifts; each feeds a detector of its own and the alarm is on their mean.
 * Effect: the larger of debiased PSI and W1, each in units of its floor.
 */
export function distanceSignal(
  reference: FeatureSketch,
  current: FeatureSketch,
  grid: FeatureGrid,
  memory: StreamMemory | null,
): Seen {
  const measure = compareFeature(reference, current, grid);
  const before = memory?.kind === 'series' ? memory : NEW_SERIES;
  const share = informationShare(before) * allowedShare(measure);
  const logPs = [share === 1 ? measure.logP : discounted(reference, current, measure, share)];
  if (reference.kind === 'numeric') {
    const { z, logP } = rankTest(reference.counts, current.counts);
    logPs.push(share === 1 ? logP : chiSquareLogSurvival(z * z * shrunk(measure, share), 1));
  }
  const effect = Math.max(
    measure.psiDebiased / PSI_FLOOR,
    Math.max(meanShift(reference, current), debiasedWasserstein(reference, measure)) /
      WASSERSTEIN_FLOOR,
  );
  return {
    observation: { kind: 'evidence', logE: logPs.map(logEValue), effect },
    measure: { kind: 'distance', effect, ...measure },
    memory: { kind: 'series', ...addToSeries(before, levelOf(reference, current)) },
  };
}

/** Part of the rows that may speak. */
function allowedShare({ rows }: DriftMeasure): number {
  return countedRows(rows.reference, rows.current) / Math.max(1, rows.current);
}

/**
 * W1 in σ less what two samples of one distribution show on average: W1 is a distance and never 0. At 200 rows it
 * shows 0.1 σ where nothing moved, half of what raises an alert.
 *
 * E|F_n − F_m| ≈ √(2/π) √(F (1 − F) (1/n + 1/m)) at each edge, times the way to the next bin's mean.
 */
function debiasedWasserstein(
  reference: FeatureSketch,
  { wasserstein, rows }: DriftMeasure,
): number {
  if (wasserstein === null || reference.kind !== 'numeric' || rows.current === 0) return 0;
  const sigma = Math.sqrt(Math.max(variance(reference.moments), 1e-18));
  const total = reference.moments.count;
  let below = 0;
  let last: number | null = null;
  let noise = 0;
  for (const [k, count] of reference.counts.entries()) {
    if (count === 0) continue;
    const mean = reference.sums[k] / count;
    const share = below / total;
    if (last !== null) noise += Math.abs(mean - last) * Math.sqrt(share * (1 - share));
    last = mean;
    below += count;
  }
  const scale = Math.sqrt((2 / Math.PI) * (1 / rows.current + 1 / rows.reference)) / sigma;
  return Math.sqrt(Math.max(0, wasserstein ** 2 - (noise * scale) ** 2));
}

/**
 * |difference of the means| in reference σ: never more than W1, and nearly unbiased where it is W1, for a shift. Of a
 * shift by exactly the floor the debiased W1 of 500 rows falls short in most windows.
 */
function meanShift(reference: FeatureSketch, current: FeatureSketch): number {
  if (reference.kind !== 'numeric' || current.kind !== 'numeric') return 0;
  if (reference.moments.count === 0 || current.moments.count === 0) return 0;
  const sigma = Math.sqrt(Math.max(variance(reference.moments), 1e-18));
  return Math.abs(current.moments.mean - reference.moments.mean) / sigma;
}

/** The p-value of the chi-square that a share of the current rows would have given. */
function discounted(
  reference: FeatureSketch,
  current: FeatureSketch,
  measure: DriftMeasure,
  share: number,
): number {
  const { statistic, df } = chiSquare(allCells(reference), allCells(current));
  return df === 0 ? 0 : chiSquareLogSurvival(statistic * shrunk(measure, share), df);
}

/** What a statistic shrinks by when only a share of the current rows counts: it is proportional to 1 / (1/n + 1/m). */
function shrunk({ rows }: DriftMeasure, share: number): number {
  const full = 1 / rows.current + 1 / rows.reference;
  return full / (1 / (rows.current * share) + 1 / rows.reference);
}

/** One number that says where a window lies: the mean, or the share of the reference's commonest category. */
function levelOf(reference: FeatureSketch, current: FeatureSketch): number {
  if (current.kind === 'numeric') return current.moments.mean;
  const commonest = reference.counts.indexOf(Math.max(...reference.counts));
  const rows = allCells(current).reduce((sum, count) => sum + count, 0);
  return rows === 0 || commonest === -1 ? 0 : current.counts[commonest] / rows;
}
