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
