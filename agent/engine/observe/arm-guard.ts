import { DEFAULT_LAST_ANSWERS, type Guard } from '../../../protocol/guard.ts';
import type { FeatureSketch } from '../../../protocol/sketch/window.ts';
import type { Breach } from '../../../protocol/trip.ts';
import type { Tensor } from '../model/runtime.ts';
import { hasNonFinite, someNonFinite } from '../serve/non-finite.ts';
import type { OipErrorCode } from '../serve/oip-error.ts';
import { AnswerWindow, FAILED, NON_FINITE, SLOW } from './answer-window.ts';
import { DriftWatch } from './drift-watch.ts';

type Tensors = ReadonlyMap<string, Tensor>;

/** Half an hour: a whole number up to here needs no place on the heap. */
const MAX_LATENCY_US = 2 ** 30;

/** Whole microseconds, for `ArmGuard`. */
export function guardedLatencyUs(tookMs: number): number {
  return Math.min(tookMs * 1000, MAX_LATENCY_US) | 0;
}

/** The largest number of bad answers that a share of the last ones allows. 0.29 of 100 is 29, not 28.999. */
function atMost(share: number, answers: number): number {
  return Math.floor(share * answers + 1e-9);
}

/**
 * Watches one arm in the thread that answers, and says once when a threshold of its guard is passed. A flood of requests
 * that the queue refuses, or a feature server that is away, is not the version's fault and is not counted.
 */
export class ArmGuard {
  readonly #window: AnswerWindow;
  readonly #maxNonFinite: number;
  readonly #maxFailed: number;
  readonly #maxSlow: number;
  readonly #budgetUs: number;
  readonly #drift: DriftWatch | null;
  readonly #maxPsi: number;
  readonly #onBreach: (breach: Breach, decision: string | null) => void;
  #code: OipErrorCode = 'model_failed';
  #tripped = false;

  /** `reference`: the predictions of the version's profile; null: there is none, and drift is not looked at. */
  constructor(
    guard: Guard,
    reference: FeatureSketch | null,
    onBreach: (breach: Breach, decision: string | null) => void,
  ) {
    const {
      lastAnswers = DEFAULT_LAST_ANSWERS,
      maxNonFinite,
      maxErrorShare,
      latency,
      drift,
    } = guard;
    const never = Number.POSITIVE_INFINITY;
    this.#window = new AnswerWindow(lastAnswers);
    this.#maxNonFinite = maxNonFinite ?? never;
    this.#maxFailed = maxErrorShare === undefined ? never : atMost(maxErrorShare, lastAnswers);
    this.#maxSlow = latency === undefined ? never : atMost(latency.maxShare, lastAnswers);
    this.#budgetUs = latency?.budgetUs ?? never;
    this.#maxPsi = drift?.maxPsi ?? never;
    this.#drift =
      drift === undefined || reference === null ? null : new DriftWatch(reference, drift.minRows);
    this.#onBreach = onBreach;
  }

  /**
   * @param latencyUs `guardedLatencyUs` from the request read to the answer written
   * @param decision the id of what was answered; null where it has none
   */
  answered(inputs: Tensors, outputs: Tensors, latencyUs: number, decision: string | null): void {
    if (this.#tripped) return;
    let flags = latencyUs > this.#budgetUs ? SLOW : 0;
    // NaN that went in is the caller's: then the version has answered what it was asked.
    if (this.#maxNonFinite < Number.POSITIVE_INFINITY && someNonFinite(outputs)) {
      if (!hasNonFinite(inputs)) flags |= NON_FINITE;
    }
    this.#window.add(flags);
    if (flags !== 0) this.#judge(flags, latencyUs, decision);
  }

  /** A request that got an error instead. `latencyUs`: until then. */
  failed(code: OipErrorCode, latencyUs: number): void {
    if (this.#tripped) return;
    let flags = 0;
    if (code === 'model_failed') flags = FAILED;
    else if (code === 'non_finite_output') flags = FAILED | NON_FINITE;
    else if (code === 'deadline_exceeded' && latencyUs > this.#budgetUs) flags = SLOW;
    if (flags === 0) return;
    this.#code = code;
    this.#window.add(flags);
    this.#judge(flags, latencyUs, null);
  }

  /** Answers have been counted. `predicted`: what the window that is open has of predictions, all of it. */
  counted(rows: number, source: FeatureSketch, predicted: () => FeatureSketch): void {
    if (this.#drift === null || this.#tripped || !this.#drift.due(rows, source)) return;
    const found = this.#drift.look(predicted());
    if (found === null || found.psi <= this.#maxPsi) return;
    this.#trip({ threshold: 'drift', ...found, limit: this.#maxPsi }, null);
  }

  #judge(flags: number, latencyUs: number, decision: string | null): void {
    const { answers, nonFinite, failed, slow } = this.#window;
    const seen = (bad: number, limit: number) => ({ bad, answers, limit });
    if ((flags & NON_FINITE) !== 0 && nonFinite > this.#maxNonFinite) {
      this.#trip({ threshold: 'non-finite', ...seen(nonFinite, this.#maxNonFinite) }, decision);
    } else if ((flags & FAILED) !== 0 && failed > this.#maxFailed) {
      this.#trip({ threshold: 'errors', ...seen(failed, this.#maxFailed), code: this.#code }, null);
    } else if ((flags & SLOW) !== 0 && slow > this.#maxSlow) {
      const { budgetUs } = { budgetUs: this.#budgetUs };
      const breach = { ...seen(slow, this.#maxSlow), budgetUs, latencyUs };
      this.#trip({ threshold: 'latency', ...breach }, decision);
    }
  }

  #trip(breach: Breach, decision: string | null): void {
    this.#tripped = true;
    this.#onBreach(breach, decision);
  }
}
