import { fromBase64 } from '../../protocol/bytes.ts';
import { decodeWindow, encodeWindow } from '../../protocol/sketch/codec.ts';
import { addLatency } from '../../protocol/sketch/latency.ts';
import { emptyOutcome, type OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import type { OutcomeCells } from '../../protocol/sketch/outcome-count.ts';
import type { DecisionSource } from '../engine/decision-batch.ts';
import type { WindowMessage } from '../engine/messages.ts';
import type { RowsBlock } from './decision-block.ts';
import type { Place } from './segment.ts';

/** Labels of weeks ago fall into as many windows; each takes 20 KB until it is sent. */
export const MAX_OPEN_WINDOWS = 512;

/** A row with what it predicted, and of which version. */
export interface LabelledRow {
  readonly place: Place;
  readonly source: DecisionSource;
  readonly cells: OutcomeCells;
}

interface OpenWindow {
  readonly source: DecisionSource;
  readonly windowStartMs: number;
  readonly windowMs: number;
  readonly outcome: OutcomeSketch;
}

/**
 * Labels as they are counted until they are sent: windows of the predictions' time that hold nothing but labels, and
 * merge with what these windows held before by addition.
 */
export class LabelWindows {
  readonly #deployment: string;
  #open = new Map<string, OpenWindow>();
  #places: Place[] = [];

  constructor(deployment: string) {
    this.#deployment = deployment;
  }

  /** There is nothing more to be sent. */
  get isEmpty(): boolean {
    return this.#open.size === 0;
  }

  get isFull(): boolean {
    return this.#open.size >= MAX_OPEN_WINDOWS;
  }

  /** `delayMs`: from answer to label; null where that is no longer known. */
  joined({ place, source, cells }: LabelledRow, label: number, delayMs: number | null): void {
    const { outcome } = this.#windowOf(source, place.block);
    const { records } = place.block;
    const { at } = place;
    cells.countLabel(
      outcome,
      records.levels(at),
      records.prediction(at),
      records.positive(at),
      label,
    );
    outcome.labels.joined += 1;
    if (delayMs !== null) addLatency(outcome.labels.delay, Math.max(0, delayMs));
    this.#places.push(place);
  }

  repeated({ place, source }: LabelledRow, as: 'duplicate' | 'conflicting'): void {
    this.#windowOf(source, place.block).outcome.labels[as] += 1;
  }

  #windowOf(source: DecisionSource, { windowStartMs, windowMs }: RowsBlock): OpenWindow {
    const key = `${source.manifest} ${source.arm} ${windowStartMs} ${windowMs}`;
    let window = this.#open.get(key);
    if (window === undefined) {
      window = { source, windowStartMs, windowMs, outcome: emptyOutcome(source.grid) };
      this.#open.set(key, window);
    }
    return window;
  }

  /** What was counted since the last time, and the rows whose labels are in it. */
  take(): { windows: WindowMessage[]; places: Place[] } {
    const windows = [...this.#open.values()].map((window) => this.#messageOf(window));
    const places = this.#places;
    this.#open = new Map();
    this.#places = [];
    return { windows, places };
  }

  #messageOf({ source, windowStartMs, windowMs, outcome }: OpenWindow): WindowMessage {
    const empty = decodeWindow(fromBase64(source.window));
    return {
      kind: 'window',
      deployment: this.#deployment,
      manifest: source.manifest,
      arm: source.arm,
      windowStartMs,
      windowMs,
      body: encodeWindow({ ...empty, outcome }),
    };
  }
}
