import { SketchError } from '../../sketch/error.ts';
import { ERROR_FROM } from './ddm.ts';
import { requireFinite } from './finite.ts';

export interface EddmSettings {
  /** Errors before the first verdict; 30. */
  readonly warmStart?: number;
  /** Share of the best distance below which it warns; 0.95. */
  readonly alpha?: number;
  /** Share below which it is drift; 0.9. */
  readonly beta?: number;
}

/**
 * EDDM, the early drift detection method (Baena-García et al. 2006): follows the distance between two errors, mean p
 * and standard deviation s, and holds p + 2 s against its own highest. Built for slow changes at few errors, and loud:
 * 9 to 12 false alarms in 10,000 values (`research/monitoring.md` 4.3). Equals river 0.26.
 */
export class Eddm {
  readonly #warmStart: number;
  readonly #alpha: number;
  readonly #beta: number;
  #rows = 0;
  #lastError = 0;
  /** Distances between errors: Welford's mean and Σ (x − mean)². */
  #errors = 0;
  #mean = 0;
  #scatter = 0;
  #best = -1;
  #signal: 'none' | 'warning' = 'none';

  constructor(settings: EddmSettings = {}) {
    this.#warmStart = settings.warmStart ?? 30;
    this.#alpha = settings.alpha ?? 0.95;
    this.#beta = settings.beta ?? 0.9;
    if (this.#alpha < this.#beta) {
      throw new SketchError(
        'value',
        `alpha ${this.#alpha} below beta ${this.#beta}: a warning comes before a drift`,
      );
    }
  }

  /** @throws SketchError `value` unless x is finite */
  update(x: number): 'none' | 'warning' | 'drift' {
    requireFinite(x);
    this.#rows += 1;
    if (x < ERROR_FROM) return this.#signal;
    const distance = this.#rows - this.#lastError;
    this.#lastError = this.#rows;
    this.#errors += 1;
    const delta = distance - this.#mean;
    this.#mean += delta / this.#errors;
    this.#scatter += delta * (distance - this.#mean);
    // river counts all values here, and errors below.
    if (this.#rows <= this.#warmStart) return this.#signal;
    const variance = this.#errors > 1 ? this.#scatter / (this.#errors - 1) : 0;
    const reach = this.#mean + 2 * Math.sqrt(variance);
    if (reach > this.#best) {
      this.#best = reach;
      return this.#signal;
    }
    if (this.#errors <= this.#warmStart) return this.#signal;
    const level = reach / this.#best;
    if (level < this.#beta) {
      this.#reset();
      return 'drift';
    }
    this.#signal = level < this.#alpha ? 'warning' : 'none';
    return this.#signal;
  }

  #reset(): void {
    this.#rows = 0;
    this.#lastError = 0;
    this.#errors = 0;
    this.#mean = 0;
    this.#scatter = 0;
    this.#best = -1;
    this.#signal = 'none';
  }
}
