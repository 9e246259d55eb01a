import { SketchError } from '../../sketch/error.ts';
import { requireFinite } from './finite.ts';

export interface AdwinSettings {
  /** Chance of a false cut at each look; 0.002. */
  readonly delta?: number;
  /** Values between two looks; 32. */
  readonly clock?: number;
  /** Values that each side of a cut needs; 5. */
  readonly minWindowLength?: number;
  /** Values before the first look; 10. */
  readonly gracePeriod?: number;
  /** Which changes of the mean are drift; a change the other way shortens the window all the same. Default both. */
  readonly direction?: 'up' | 'both';
}

/** Buckets of one size before two of them become one of the next. */
const MAX_BUCKETS = 5;

/** Values next to each other: only their sum and spread are kept. */
interface Bucket {
  readonly count: number;
  readonly total: number;
  /** Σ (x − mean)². */
  readonly scatter: number;
}

/**
 * ADWIN: a window as long as its mean can be believed not to have changed (Bifet and Gavaldà 2007, "Learning from
 * time-changing data with adaptive windowing"; the variance bound of their ADWIN2). Every `clock` values each cut of the
 * window into an older part of n0 and a newer one of n1 values is tried, and the oldest bucket dropped while for one
 *
 *     |μ0 − μ1| > √(2 m σ² δ′) + ⅔ δ′ m,    m = 1/(n0 − l + 1) + 1/(n1 − l + 1),   δ′ = ln(2 ln(n0 + n1) / δ)
 *
 * with l = `minWindowLength`. Assumes values in [0, 1], independent while nothing changes. Answers what river 0.26 does,
 * value by value, but that river begins with an empty window after a drift and so do we.
 */
export class Adwin {
  readonly #delta: number;
  readonly #clock: number;
  readonly #minLength: number;
  readonly #grace: number;
  readonly #direction: 'up' | 'both';
  /** #rows[k] holds buckets of 2^k values, oldest first; the oldest of all are in the last row. */
  #rows: Bucket[][] = [[]];
  #window: Bucket = EMPTY;
  #ticks = 0;

  constructor(settings: AdwinSettings = {}) {
    this.#delta = settings.delta ?? 0.002;
    this.#clock = settings.clock ?? 32;
    this.#minLength = settings.minWindowLength ?? 5;
    this.#grace = settings.gracePeriod ?? 10;
    this.#direction = settings.direction ?? 'both';
    if (!(this.#delta > 0 && this.#delta < 1)) {
      throw new SketchError('value', `delta ${this.#delta}: must be above 0 and below 1`);
    }
  }

  /** Values that the mean is taken over. */
  get width(): number {
    return this.#window.count;
  }

  /** Mean of the window; 0 while empty. */
  get mean(): number {
    return this.width === 0 ? 0 : this.#window.total / this.width;
  }

  /** @throws SketchError `value` unless x is finite */
  update(x: number): 'none' | 'drift' {
    requireFinite(x);
    const one = { count: 1, total: x, scatter: 0 };
    this.#rows[0].push(one);
    this.#window = joined(this.#window, one);
    this.#compress();
    this.#ticks += 1;
    if (this.#ticks % this.#clock !== 0 || this.width <= this.#grace) return 'none';
    if (!this.#shrink()) return 'none';
    this.#rows = [[]];
    this.#window = EMPTY;
    this.#ticks = 0;
    return 'drift';
  }

  #compress(): void {
    for (let level = 0; this.#rows[level].length > MAX_BUCKETS; level += 1) {
      const [oldest, next] = this.#rows[level].splice(0, 2);
      if (level + 1 === this.#rows.length) this.#rows.push([]);
      this.#rows[level + 1].push(joined(oldest, next));
    }
  }

  /** Drops oldest buckets while a cut is found; whether one was in the direction that counts. */
  #shrink(): boolean {
    let drift = false;
    for (let cut = this.#findCut(); cut !== 'none'; cut = this.#findCut()) {
      if (cut === 'up' || this.#direction === 'both') drift = true;
      this.#dropOldest();
    }
    return drift;
  }

  #findCut(): 'none' | 'up' | 'down' {
    const { count, total, scatter } = this.#window;
    const logged = Math.log((2 * Math.log(count)) / this.#delta);
    let older = 0;
    let olderTotal = 0;
    for (let level = this.#rows.length - 1; level >= 0; level -= 1) {
      for (const bucket of this.#rows[level]) {
        older += bucket.count;
        olderTotal += bucket.total;
        const newer = count - older;
        if (newer === 0) return 'none';
        if (older < this.#minLength || newer < this.#minLength) continue;
        const gap = olderTotal / older - (total - olderTotal) / newer;
        const m = 1 / (older - this.#minLength + 1) + 1 / (newer - this.#minLength + 1);
        const bound = Math.sqrt(2 * m * (scatter / count) * logged) + (2 / 3) * logged * m;
        if (Math.abs(gap) > bound) return gap < 0 ? 'up' : 'down';
      }
    }
    return 'none';
  }

  #dropOldest(): void {
    const level = this.#rows.length - 1;
    const oldest = this.#rows[level].shift();
    if (oldest === undefined) return;
    if (this.#rows[level].length === 0 && level > 0) this.#rows.pop();
    this.#window = without(this.#window, oldest);
  }
}

const EMPTY: Bucket = { count: 0, total: 0, scatter: 0 };

/** Chan, Golub and LeVeque 1979. */
function joined(a: Bucket, b: Bucket): Bucket {
  if (a.count === 0) return b;
  const count = a.count + b.count;
  const gap = a.total / a.count - b.total / b.count;
  const scatter = a.scatter + b.scatter + (a.count * b.count * gap * gap) / count;
  return { count, total: a.total + b.total, scatter };
}

function without(whole: Bucket, part: Bucket): Bucket {
  const count = whole.count - part.count;
  if (count === 0) return EMPTY;
  const total = whole.total - part.total;
  const gap = part.total / part.count - total / count;
  const scatter = whole.scatter - part.scatter - (part.count * count * gap * gap) / whole.count;
  // Rounding may leave −1e-17 of a stream that never varies.
  return { count, total, scatter: Math.max(0, scatter) };
}
