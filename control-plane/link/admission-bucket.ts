import { MAX_PROMISE_MS } from '../../protocol/limits.ts';

/** What an admission bucket lets through. */
export interface AdmissionRate {
  /** Links a second that are let in for as long as more come. */
  readonly perSecond: number;
  /** Links that are let in at once after a pause. */
  readonly burst: number;
}

/**
 * What one control plane on two cores takes in while it does its other work: an admission is two signatures, a proof and
 * a few rows. Ten thousand hosts that lost it at once are back within 25 seconds.
 */
export const DEFAULT_ADMISSION_RATE: AdmissionRate = { perSecond: 400, burst: 400 };

/** Clocks of hosts run at other speeds, and fractions are lost: whoever is so much early was as good as told. */
const EARLY_MS = 1;

/**
 * A token bucket in front of the handshake. Whoever finds it empty is told when to come back, each later than the one
 * before at the rate of the bucket: then a fleet comes back in a row and not in waves. Pure; the generic cell rate
 * algorithm of ITU-T I.371 (2004), annex A, which needs no timer.
 */
export class AdmissionBucket {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  /** When the bucket will be full again. */
  #fullAtMs = 0;
  /** Until when places are promised. */
  #promisedUntilMs = 0;

  constructor({ perSecond, burst }: AdmissionRate) {
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = (burst - 1) * this.#intervalMs;
  }

  /** 0: let in. Else in how many ms to come back. `nowMs` must not go back: of a monotonic clock. */
  take(nowMs: number): number {
    if (this.#fullAtMs - nowMs <= this.#toleranceMs + EARLY_MS) {
      this.#fullAtMs = Math.max(this.#fullAtMs, nowMs) + this.#intervalMs;
      return 0;
    }
    const earliestMs = Math.max(this.#promisedUntilMs, this.#fullAtMs - this.#toleranceMs);
    const promisedMs = Math.min(earliestMs, nowMs + MAX_PROMISE_MS);
    this.#promisedUntilMs = promisedMs + this.#intervalMs;
    return Math.max(1, promisedMs - nowMs);
  }
}
