import type { DetectorConfig } from '../../protocol/detector.ts';
import { createDetector } from '../../protocol/statistics/detectors/detector.ts';
import { wilsonInterval } from '../../protocol/statistics/wilson.ts';

/**
 * A of the e-detector on a host: while the errors are no more than tolerated, at least this many labels come on average
 * before a false alarm. A host doesn't know how many labels a day it will get, so its level counts labels; the budget in
 * days is kept by the control plane, which sees all hosts' labels.
 */
export const LABELS_PER_FALSE_ALARM = 1e5;
/** Keeps a baseline without errors, or full of them, inside the open interval that likelihood ratios need. */
const TOLERATED_BOUNDS = { low: 1e-4, high: 1 - 1e-4 };

/** Errors among labelled rows of the baseline. */
export interface BaselineErrors {
  readonly errors: number;
  readonly labelled: number;
}

/** Looks at losses in [0, 1] in the order in which labels come. */
export interface ErrorDetector {
  /** True where this one shows that errors have risen. */
  update(loss: number): boolean;
}

/**
 * The detector that a deployment's monitoring names. Null for an e-detector that has nothing to compare with: no
 * tolerated rate is set, and the baseline had no labels.
 *
 * @param baseline null where the baseline had no labels
 * @throws SketchError `value` where the settings make no detector
 */
export function errorDetector(
  config: DetectorConfig,
  baseline: BaselineErrors | null,
): ErrorDetector | null {
  const isMeasured = baseline !== null && baseline.labelled > 0;
  if (config.kind === 'e-detector' && config.toleratedRate === undefined && !isMeasured) {
    return null;
  }
  const detector = createDetector(config, {
    toleratedRate: isMeasured ? toleratedRate(baseline) : 0.5,
    logLevel: Math.log(LABELS_PER_FALSE_ALARM),
  });
  return { update: (loss) => detector.update(loss) === 'drift' };
}

/** Wilson's upper 95 % bound of the baseline's rate: what a small validation set can't exclude is no news. */
function toleratedRate({ errors, labelled }: BaselineErrors): number {
  const { high } = wilsonInterval(Math.min(errors, labelled), labelled);
  return Math.min(TOLERATED_BOUNDS.high, Math.max(TOLERATED_BOUNDS.low, high));
}
