import type { FeatureSketch } from '../../../protocol/sketch/window.ts';
import { allCells } from '../../../protocol/statistics/drift.ts';
import { debiasedPsi } from '../../../protocol/statistics/psi.ts';

/** Looks at so many new rows together: a look costs some microseconds, whatever the rows were. */
const MIN_STRIDE_ROWS = 64;
/** A window of few rows is looked at an eighth of it at a time. */
const STRIDES = 8;

/**
 * How far the predictions of a running window are from the profile. The window is two halves: the one that is being
 * filled, and the one before it, so that it holds between `minRows` and twice as many. What is counted already for
 * telemetry is read here, whichever of its windows it stands in; nothing is counted twice.
 */
export class DriftWatch {
  readonly #reference: Float64Array;
  readonly #minRows: number;
  readonly #strideRows: number;
  #half: Float64Array;
  #before: Float64Array;
  #halfRows = 0;
  #beforeRows = 0;
  #source: FeatureSketch | null = null;
  #taken: Float64Array;
  #unseen = 0;

  constructor(reference: FeatureSketch, minRows: number) {
    this.#reference = allCells(reference);
    this.#minRows = minRows;
    this.#strideRows = Math.max(MIN_STRIDE_ROWS, Math.ceil(minRows / STRIDES));
    const cells = this.#reference.length;
    this.#half = new Float64Array(cells);
    this.#before = new Float64Array(cells);
    this.#taken = new Float64Array(cells);
  }

  /** Whether it is time to look, `rows` after the last answer. A new telemetry window is always one. */
  due(rows: number, source: FeatureSketch): boolean {
    this.#unseen += rows;
    return source !== this.#source || this.#unseen >= this.#strideRows;
  }

  /**
   * Debiased PSI over the running window, in nats, and its rows; null before there are enough.
   *
   * @param source the predictions of the telemetry window that is open, all counted
   */
  look(source: FeatureSketch): { readonly psi: number; readonly rows: number } | null {
    this.#unseen = 0;
    if (this.#source !== null && this.#source !== source) {
      // The rest of a window that has been cut since: nobody counts into it any more.
      this.#take(this.#source);
      this.#taken.fill(0);
    }
    this.#source = source;
    this.#take(source);
    const rows = this.#halfRows + this.#beforeRows;
    if (rows < this.#minRows) return null;
    const total = this.#half.map((count, cell) => count + this.#before[cell]);
    const psi = debiasedPsi(this.#reference, total);
    if (this.#halfRows >= this.#minRows) this.#turn();
    return { psi, rows };
  }

  #take(source: FeatureSketch): void {
    const cells = allCells(source);
    for (let cell = 0; cell < cells.length; cell += 1) {
      const more = cells[cell] - this.#taken[cell];
      this.#half[cell] += more;
      this.#halfRows += more;
    }
    this.#taken = cells;
  }

  #turn(): void {
    const empty = this.#before.fill(0);
    this.#before = this.#half;
    this.#beforeRows = this.#halfRows;
    this.#half = empty;
    this.#halfRows = 0;
  }
}
