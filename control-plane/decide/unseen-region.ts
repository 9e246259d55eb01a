import type { WindowSketch } from '../../protocol/sketch/window.ts';
import { wilsonInterval } from '../../protocol/statistics/wilson.ts';
import type { ArmShape } from './compare-arms.ts';
import { qualityRate } from './quality-signal.ts';

/** Rows of a feature beyond what the baseline ever had, from which nothing is known of how scores and outcomes go together. */
const MOST_UNSEEN = 0.05;

export interface UnseenRegion {
  readonly feature: string;
  /** Of the rows, 0 to 1. */
  readonly share: number;
}

/**
 * The feature that has most rows where the baseline had none; null where none has more than 5 % of them, as far as the rows
 * can tell (Wilson). There an estimate without labels is a guess: `research/monitoring.md` (iii) E.
 */
export function unseenRegion(
  { features, reference }: Pick<ArmShape, 'features' | 'reference'>,
  window: WindowSketch,
): UnseenRegion | null {
  let worst: UnseenRegion | null = null;
  for (const [at, feature] of features.entries()) {
    const before = reference?.features[at];
    const rate = before && qualityRate('out-of-range', before, window.features[at]);
    if (!rate || rate.trials === 0) continue;
    const share = rate.events / rate.trials;
    if (wilsonInterval(rate.events, rate.trials).low <= MOST_UNSEEN) continue;
    if (share > (worst?.share ?? 0)) worst = { feature, share };
  }
  return worst;
}
