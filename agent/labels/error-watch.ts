import { describeConceptDrift } from '../../protocol/concept-drift.ts';
import type { DetectorConfig } from '../../protocol/detector.ts';
import type { MonitoringInForce } from '../../protocol/monitoring.ts';
import type { DecisionSource } from '../engine/decision-batch.ts';
import type { SeenError } from './deployment-labels.ts';
import { type BaselineErrors, type ErrorDetector, errorDetector } from './error-detector.ts';

/**
 * A regression's error in units of this many mean absolute errors of its baseline, cut off at 1: the mean of that is
 * at most 1/4 while the model is as good as it was (Markov), whatever the distribution of its errors.
 */
const REGRESSION_SCALE = 4;
/** Versions of one deployment whose errors are watched at once: its arms, and those whose labels are late. */
const MAX_WATCHED = 16;

/** Detectors of one arm of one version. */
interface Watched {
  readonly config: string;
  readonly detectors: readonly {
    readonly kind: DetectorConfig['kind'];
    readonly detector: ErrorDetector;
  }[];
  labels: number;
  errors: number;
}

/**
 * Watches the errors of a deployment, label by label in the order in which they come, with the detectors that its
 * monitoring names. What detectors have learned lives as long as this process.
 */
export class ErrorWatch {
  /** Changes found, by detector. */
  readonly drifts: Record<string, number> = {};
  readonly #deployment: string;
  readonly #inForce: () => Pick<MonitoringInForce, 'detectors'>;
  readonly #onDrift: (detail: string) => void;
  readonly #watched = new Map<string, Watched>();

  /** `onDrift` is given the detail of a `concept-drift` event. */
  constructor(
    deployment: string,
    inForce: () => Pick<MonitoringInForce, 'detectors'>,
    onDrift: (detail: string) => void,
  ) {
    this.#deployment = deployment;
    this.#inForce = inForce;
    this.#onDrift = onDrift;
  }

  see({ source, error }: SeenError): void {
    const loss = lossOf(source, error);
    if (loss === null) return;
    const { manifest, arm } = source;
    const watched = this.#watchedOf(source);
    watched.labels += 1;
    watched.errors += loss;
    for (const { kind, detector } of watched.detectors) {
      if (!detector.update(loss)) continue;
      this.drifts[kind] = (this.drifts[kind] ?? 0) + 1;
      const { labels, errors } = watched;
      const found = { deployment: this.#deployment, manifest, arm, detector: kind };
      this.#onDrift(describeConceptDrift(found, { labels, meanError: errors / labels }));
    }
  }

  #watchedOf(source: DecisionSource): Watched {
    const key = `${source.manifest} ${source.arm}`;
    const { detectors } = this.#inForce();
    const config = JSON.stringify(detectors);
    const known = this.#watched.get(key);
    if (known !== undefined && known.config === config) return known;
    const watched = {
      config,
      detectors: detectors.flatMap((each) => {
        const detector = errorDetector(each, toleratedOf(source));
        return detector === null ? [] : [{ kind: each.kind, detector }];
      }),
      labels: 0,
      errors: 0,
    };
    const [oldest] = this.#watched.keys();
    if (this.#watched.size >= MAX_WATCHED) this.#watched.delete(oldest);
    this.#watched.set(key, watched);
    return watched;
  }
}

/** 0 to 1; null where a regression has no baseline to be measured by. */
function lossOf({ grid, validation }: DecisionSource, error: number): number | null {
  if (grid.kind !== 'regression') return error;
  if (validation === null || validation.errorAbs <= 0) return null;
  const meanError = validation.errorAbs / validation.labelled;
  return Math.min(1, error / (REGRESSION_SCALE * meanError));
}

/** Errors among labelled rows of the baseline, of a mean that is at most so large; null where it had no labels. */
function toleratedOf({ grid, validation }: DecisionSource): BaselineErrors | null {
  if (validation === null) return null;
  const { labelled, errors } = validation;
  return grid.kind === 'regression'
    ? { errors: labelled / REGRESSION_SCALE, labelled }
    : { errors, labelled };
}
