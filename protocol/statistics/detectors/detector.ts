import { Adwin } from './adwin.ts';
import { Ddm } from './ddm.ts';
import { Eddm } from './eddm.ts';
import { ErrorEDetector } from './error-e-detector.ts';
import { Kswin } from './kswin.ts';
import { PageHinkley } from './page-hinkley.ts';

/** What one more value said. `warning` is DDM's and EDDM's zone before a drift; the others have none. */
export type DetectorSignal = 'none' | 'warning' | 'drift';

/**
 * Looks at one stream of errors, 0 or 1, or of losses in [0, 1], in the order in which they happened. After `drift` it
 * begins anew by itself: the next value is the first of the new concept.
 */
export interface StreamDetector {
  update(x: number): DetectorSignal;
}

/** Which detector, with the parameters that its authors published; what is left out has their default. */
export type DetectorSettings =
  | { readonly kind: 'e-detector'; readonly toleratedRate?: number }
  | {
      readonly kind: 'adwin';
      readonly delta?: number;
      readonly clock?: number;
      readonly minWindowLength?: number;
      readonly gracePeriod?: number;
    }
  | {
      readonly kind: 'ddm';
      readonly warmStart?: number;
      readonly warningThreshold?: number;
      readonly driftThreshold?: number;
    }
  | {
      readonly kind: 'eddm';
      readonly warmStart?: number;
      readonly alpha?: number;
      readonly beta?: number;
    }
  | {
      readonly kind: 'page-hinkley';
      readonly minInstances?: number;
      readonly delta?: number;
      readonly threshold?: number;
      readonly alpha?: number;
    }
  | {
      readonly kind: 'kswin';
      readonly alpha?: number;
      readonly windowSize?: number;
      readonly statSize?: number;
      readonly seed?: number;
    };

/** What only the deployment knows. */
export interface DetectorContext {
  /** Error rate that is no news, 0 to 1 exclusive, where the settings name none. */
  readonly toleratedRate: number;
  /** ln A of the e-detector: the mean number of values to a false alarm is at least A. */
  readonly logLevel: number;
}

/**
 * A detector of *rising* errors: ADWIN and Page–Hinkley are two-sided by nature, and here their downward half is
 * dropped, because a model that improves is no alarm. DDM, EDDM and the e-detector are one-sided; KSWIN is not.
 *
 * DDM and EDDM know errors only: a loss counts as one from ½ on.
 *
 * @throws SketchError `value` where the settings make no detector
 */
export function createDetector(
  settings: DetectorSettings,
  context: DetectorContext,
): StreamDetector {
  switch (settings.kind) {
    case 'e-detector':
      return new ErrorEDetector(settings.toleratedRate ?? context.toleratedRate, context.logLevel);
    case 'adwin':
      return new Adwin({ ...settings, direction: 'up' });
    case 'ddm':
      return new Ddm(settings);
    case 'eddm':
      return new Eddm(settings);
    case 'page-hinkley':
      return new PageHinkley({ ...settings, direction: 'up' });
    case 'kswin':
      return new Kswin(settings);
  }
}
