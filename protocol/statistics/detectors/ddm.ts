import { requireFinite } from './finite.ts';

export interface DdmSettings {
  /** Values before the first verdict; 30. */
  readonly warmStart?: number;
  /** Standard deviations above the best error rate that warn; 2. */
  readonly warningThreshold?: number;
  /** Standard deviations above it that are drift; 3. */
  readonly driftThreshold?: number;
}

/** A loss in [0, 1] counts as an error from here on. */
export const ERROR_FROM = 0.5;

/**
 * DDM, the drift detection method (Gama, Medas, Castillo and Rodrigues 2004, "Learning with drift detection"): the error
 * rate p with s = √(p (1 − p) / n) is held against its own lowest p + s. Drift at p + s > p_min + 3 s_min, warning at 2.
 * Assumes independent errors whose rate falls or stays while nothing changes. It has no false-alarm budget: at an error
 * rate of 5 % it raises 0.8 false alarms in 10,000 values (`research/monitoring.md` 4.3). Equals river 0.26.
 */
export class Ddm {
  readonly #warmStart: number;
  readonly #warning: number;
  readonly #drift: number;
  #rows = 0;
  #rate = 0;
  #best = { rate: 0, spread: 0, sum: Infinity };

  constructor(settings: DdmSettings = {}) {
    this.#warmStart = settings.warmStart ?? 30;
    this.#warning = settings.warningThreshold ?? 2;
    this.#drift = settings.driftThreshold ?? 3;
  }

  /** @throws SketchError `value` unless x is finite */
  update(x: number): 'none' | 'warning' | 'drift' {
    requireFinite(x);
    this.#rows += 1;
    this.#rate += (Number(x >= ERROR_FROM) - this.#rate) / this.#rows;
    // Rounding can leave a rate of all errors a hair above 1, and a root of a negative number is NaN.
    const variance = Math.max(0, this.#rate * (1 - this.#rate));
    const spread = Math.sqrt(variance / this.#rows);
    if (this.#rows <= this.#warmStart) return 'none';
    const sum = this.#rate + spread;
    if (sum <= this.#best.sum) this.#best = { rate: this.#rate, spread, sum };
    const best = this.#best;
    if (sum > best.rate + this.#drift * best.spread) {
      this.#reset();
      return 'drift';
    }
    return sum > best.rate + this.#warning * best.spread ? 'warning' : 'none';
  }

  #reset(): void {
    this.#rows = 0;
    this.#rate = 0;
    this.#best = { rate: 0, spread: 0, sum: Infinity };
  }
}
