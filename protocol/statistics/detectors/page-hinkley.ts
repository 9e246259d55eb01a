import { requireFinite } from './finite.ts';

export interface PageHinkleySettings {
  /** Values before the first verdict; 30. */
  readonly minInstances?: number;
  /** Change of the mean that is let pass, in units of the value; 0.005. */
  readonly delta?: number;
  /** λ, the sum of deviations at which it is drift; 50. */
  readonly threshold?: number;
  /** Factor by which a sum fades with each value; 0.9999. */
  readonly alpha?: number;
  /** Which changes of the mean are drift. Default both. */
  readonly direction?: 'up' | 'both';
}

/**
 * Page–Hinkley: a cumulative sum of how far each value lies from the mean so far (Page 1954, "Continuous inspection
 * schemes"; with the fading factor of Sebastião and Fernandes 2017). Up: S ← α S + x − x̄ − δ, drift where S rises λ
 * above its lowest. Slow and quiet with the published λ = 50. Equals river 0.26.
 */
export class PageHinkley {
  readonly #minInstances: number;
  readonly #delta: number;
  readonly #threshold: number;
  readonly #alpha: number;
  readonly #direction: 'up' | 'both';
  #rows = 0;
  #mean = 0;
  #rise = 0;
  #fall = 0;
  #lowest = Infinity;
  /** river's own start, kept so that we answer alike. */
  #highest = -1;

  constructor(settings: PageHinkleySettings = {}) {
    this.#minInstances = settings.minInstances ?? 30;
    this.#delta = settings.delta ?? 0.005;
    this.#threshold = settings.threshold ?? 50;
    this.#alpha = settings.alpha ?? 1 - 0.0001;
    this.#direction = settings.direction ?? 'both';
  }

  /** @throws SketchError `value` unless x is finite */
  update(x: number): 'none' | 'drift' {
    requireFinite(x);
    this.#rows += 1;
    this.#mean += (x - this.#mean) / this.#rows;
    const deviation = x - this.#mean;
    this.#rise = this.#alpha * this.#rise + deviation - this.#delta;
    this.#fall = this.#alpha * this.#fall + deviation + this.#delta;
    this.#lowest = Math.min(this.#lowest, this.#rise);
    this.#highest = Math.max(this.#highest, this.#fall);
    if (this.#rows < this.#minInstances) return 'none';
    const up = this.#rise - this.#lowest > this.#threshold;
    const down = this.#direction === 'both' && this.#highest - this.#fall > this.#threshold;
    if (!up && !down) return 'none';
    this.#reset();
    return 'drift';
  }

  #reset(): void {
    this.#rows = 0;
    this.#mean = 0;
    this.#rise = 0;
    this.#fall = 0;
    this.#lowest = Infinity;
    this.#highest = -1;
  }
}
