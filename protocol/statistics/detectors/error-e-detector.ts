import { stakesOf } from '../bounded-e-value.ts';
import { INITIAL_LOG_M, nextLogM } from '../e-detector.ts';
import { logMeanExp } from '../log-sum.ts';
import { requireFinite } from './finite.ts';

/**
 * The e-detector of errors and losses (Shin, Ramdas and Rinaldo 2023): one Shiryaev–Roberts state for each size of
 * change that may come, drift where their mean reaches A. While the mean is at most `tolerated` given the past, the mean
 * number of values to a false alarm is at least A, whatever the distribution: nothing need be independent.
 *
 * A value of 0 or 1 is a likelihood ratio of rates, one in between a wager (`research/monitoring.md` (iii) D, with one
 * state per wager there too: a mean of wagers in one state would be one wager).
 */
export class ErrorEDetector {
  readonly #tolerated: number;
  readonly #logLevel: number;
  readonly #stakes: Float64Array;
  readonly #logM: Float64Array;

  /**
   * @param tolerated mean that is no news, above 0 and below 1
   * @param logLevel ln A
   * @throws SketchError `value`
   */
  constructor(tolerated: number, logLevel: number) {
    this.#tolerated = tolerated;
    this.#logLevel = logLevel;
    this.#stakes = stakesOf(tolerated);
    this.#logM = new Float64Array(this.#stakes.length).fill(INITIAL_LOG_M);
  }

  /** ln of the mean of the states; −Infinity at the start. */
  get logEvidence(): number {
    return logMeanExp(this.#logM);
  }

  /**
   * @param x in [0, 1]; what lies outside is moved to the nearer end
   * @throws SketchError `value` unless x is finite
   */
  update(x: number): 'none' | 'drift' {
    requireFinite(x);
    const excess = Math.min(1, Math.max(0, x)) - this.#tolerated;
    for (let k = 0; k < this.#logM.length; k += 1) {
      this.#logM[k] = nextLogM(this.#logM[k], Math.log1p(this.#stakes[k] * excess));
    }
    if (this.logEvidence < this.#logLevel) return 'none';
    this.#logM.fill(INITIAL_LOG_M);
    return 'drift';
  }
}
