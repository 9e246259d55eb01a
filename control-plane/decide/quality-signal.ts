import type { FeatureSketch } from '../../protocol/sketch/window.ts';
import type { Rate } from './rate-test.ts';

/** What may be wrong with a column's values, whatever their distribution. */
export type QualityKind = 'missing' | 'unseen' | 'out-of-range';

/**
 * Rows of a column that are null, that no dictionary has (numeric: NaN and ±Inf), or that lie beyond what the reference
 * ever had. Null where the reference can't tell: out of range needs an outer bin that the reference left empty.
 */
export function qualityRate(
  kind: QualityKind,
  reference: FeatureSketch,
  sketch: FeatureSketch,
): Rate | null {
  const unseen = sketch.kind === 'numeric' ? sketch.nonFinite : sketch.unseen;
  const counted = sketch.counts.reduce((sum, count) => sum + count, 0);
  const trials = counted + unseen + sketch.missing;
  switch (kind) {
    case 'missing':
      return { events: sketch.missing, trials };
    case 'unseen':
      return { events: unseen, trials };
    case 'out-of-range': {
      const outer = outerBins(reference);
      if (outer.length === 0) return null;
      return { events: outer.reduce((sum, bin) => sum + sketch.counts[bin], 0), trials: counted };
    }
  }
}

/**
 * m times the share of fresh rows that lie beyond the smallest or the largest (one side), or either (both), of m rows of
 * the same distribution, exceeded for 1 column in 1000: that share is Beta(1, m) or Beta(2, m − 1) (order statistics),
 * near Gamma(1) / m or Gamma(2) / m. The interval of "0 of m rows" says nothing of it, because the bounds were chosen on
 * those very rows: 1 column in 10 lies above its upper end.
 */
const BEYOND: Record<1 | 2, number> = { 1: 6.91, 2: 9.24 };
const MOST_TOLERATED = 0.5;

/** What a column may have without being evidence; undefined: what the reference's own count says. */
export function toleratedQuality(kind: QualityKind, reference: FeatureSketch): number | undefined {
  if (kind !== 'out-of-range') return undefined;
  const rows = reference.counts.reduce((sum, count) => sum + count, 0);
  const sides = outerBins(reference).length === 1 ? 1 : 2;
  return Math.min(MOST_TOLERATED, BEYOND[sides] / Math.max(1, rows));
}

/** Which quality streams a column has. */
export function qualityKinds(reference: FeatureSketch): readonly QualityKind[] {
  const both: readonly QualityKind[] = ['missing', 'unseen'];
  return outerBins(reference).length === 0 ? both : [...both, 'out-of-range'];
}

function outerBins({ kind, counts }: FeatureSketch): readonly number[] {
  // A single bin is a column without a grid: nothing lies outside of it.
  if (kind !== 'numeric' || counts.length < 2) return [];
  return [0, counts.length - 1].filter((bin) => counts[bin] === 0);
}
