import type { DecisionRecord } from '../../protocol/decision.ts';
import { OutcomeCells } from '../../protocol/sketch/outcome-count.ts';
import type { DecisionBatch, DecisionSource } from '../engine/decision-batch.ts';
import { decisionSourceSchema } from '../engine/decision-batch.ts';
import type { WindowMessage } from '../engine/messages.ts';
import { DecisionRecords } from '../engine/observe/decision-record.ts';
import type { LabelResult, LabelStatus, PostedLabel } from '../engine/posted-label.ts';
import { type DecisionLog, type Sought, soughtBy } from './decision-log.ts';
import { labelValue, showLabel } from './label-value.ts';
import { type LabelledRow, LabelWindows } from './label-windows.ts';
import { recordOf } from './recall.ts';
import type { Place } from './segment.ts';
import { UnmatchedLabels } from './unmatched-labels.ts';

/** How wrong a prediction was, in the order in which labels come. */
export interface SeenError {
  readonly source: DecisionSource;
  /** 0 or 1; of a regression |prediction - label|. */
  readonly error: number;
}

export interface LabelEvents {
  onError(seen: SeenError): void;
  /** A window that holds labels and nothing else, on its way. */
  onWindow(window: WindowMessage): void;
}

/** Labels of one deployment: found their rows, compared with what was said before, and counted. One caller at a time. */
export class DeploymentLabels {
  readonly log: DecisionLog;
  readonly counts: Record<LabelStatus, number> = {
    joined: 0,
    duplicate: 0,
    conflicting: 0,
    unknown: 0,
    expired: 0,
    invalid: 0,
  };
  readonly #windows: LabelWindows;
  readonly #unmatched = new UnmatchedLabels();
  readonly #events: LabelEvents;
  readonly #cells = new WeakMap<DecisionSource, OutcomeCells>();
  readonly #axes = new Map<string, number>();

  constructor(deployment: string, log: DecisionLog, events: LabelEvents) {
    this.log = log;
    this.#windows = new LabelWindows(deployment);
    this.#events = events;
  }

  /** Counts again what a crash has kept from being sent. Detectors have seen it. */
  async recover(): Promise<void> {
    for (const place of await this.log.unsent()) {
      const label = await place.segment.label(place);
      if (label !== null) this.#windows.joined(await this.#rowOf(place), label, null);
    }
  }

  /** Remembers rows; labels that came before them are joined now. */
  async decided(batch: DecisionBatch): Promise<void> {
    const axes = this.#axesOf(batch.source);
    await this.log.append(batch, axes);
    const records = new DecisionRecords(Buffer.from(batch.records), axes);
    for (const { label, sought, atMs } of this.#unmatched.match(batch.engine, records)) {
      const { result, seen } = await this.#join(label, sought, atMs);
      this.counts[result.status] += 1;
      if (seen !== null) this.#events.onError(seen);
    }
    await this.log.save();
    if (this.#windows.isFull) await this.send(batch.atMs);
  }

  #axesOf(source: string): number {
    let axes = this.#axes.get(source);
    if (axes === undefined) {
      axes = decisionSourceSchema.parse(JSON.parse(source)).grid.axes.length;
      // A deployment has few versions at a time; sources are some KB.
      if (this.#axes.size >= 64) this.#axes.clear();
      this.#axes.set(source, axes);
    }
    return axes;
  }

  /** One result for each label, in their order. On disk when this resolves. */
  async post(labels: readonly PostedLabel[], atMs: number): Promise<LabelResult[]> {
    const results: LabelResult[] = new Array(labels.length);
    const seen: (SeenError | null)[] = new Array(labels.length).fill(null);
    const sought = labels.map(soughtBy);
    const guesses = sought.map((each) => (each === null ? -1 : this.log.guess(each)));
    // Rows that lie together are looked for together: each segment is read once.
    const order = labels.map((_, at) => at).sort((a, b) => guesses[a] - guesses[b] || a - b);
    for (const at of order) {
      const place = sought[at];
      if (place === null) results[at] = notAnId(labels[at]);
      else ({ result: results[at], seen: seen[at] } = await this.#join(labels[at], place, atMs));
      this.counts[results[at].status] += 1;
      // Labels of one post may belong to more windows than may be open.
      if (this.#windows.isFull) await this.send(atMs);
    }
    await this.log.save();
    for (const each of seen) if (each !== null) this.#events.onError(each);
    return results;
  }

  /** What is remembered of a row; null: nothing is. */
  async recall(sought: Sought): Promise<DecisionRecord | null> {
    const place = await this.log.find(sought);
    if (place === null) return null;
    return recordOf(await this.#rowOf(place), await place.segment.label(place));
  }

  async #join(
    label: PostedLabel,
    sought: Sought,
    atMs: number,
  ): Promise<{ result: LabelResult; seen: SeenError | null }> {
    const place = await this.log.find(sought);
    if (place === null) return { result: this.#missing(label, sought, atMs), seen: null };
    const row = await this.#rowOf(place);
    const { source, cells } = row;
    const { windowStartMs, atMs: answeredMs, records } = place.block;
    const read = labelValue(label.label, source, cells);
    if (read.kind === 'invalid') {
      return { result: { status: 'invalid', windowStartMs, detail: read.detail }, seen: null };
    }
    const before = await place.segment.label(place);
    if (before !== null) {
      const status = before === read.value ? 'duplicate' : 'conflicting';
      this.#windows.repeated(row, status);
      const told = { detail: `the first label stays: ${showLabel(before, cells)}` };
      return {
        result: { status, windowStartMs, ...(status === 'duplicate' ? {} : told) },
        seen: null,
      };
    }
    await place.segment.setLabel(place, read.value);
    this.#windows.joined(row, read.value, atMs - answeredMs);
    const { at } = place;
    const error = cells.errorOf(records.prediction(at), records.positive(at), read.value);
    return { result: { status: 'joined', windowStartMs }, seen: { source, error } };
  }

  async #rowOf(place: Place): Promise<LabelledRow> {
    const source = await place.segment.sourceOf(place);
    let cells = this.#cells.get(source);
    if (cells === undefined) {
      cells = new OutcomeCells(source.grid);
      this.#cells.set(source, cells);
    }
    return { place, source, cells };
  }

  #missing(label: PostedLabel, sought: Sought, atMs: number): LabelResult {
    if (sought.by === 'decision' && sought.windowStartMs < this.log.forgottenBeforeMs) {
      return { status: 'expired', detail: 'its row is no longer remembered; see labels.keepRows' };
    }
    // A caller's own id does not say when it was answered: a row that was forgotten is one that has not come yet.
    this.#unmatched.add({ label, sought, atMs });
    return { status: 'unknown', detail: 'kept for ten minutes, in case its row comes' };
  }

  get hasWindows(): boolean {
    return !this.#windows.isEmpty;
  }

  /**
   * Sends the windows of what was joined since the last time. Their rows are marked as sent first: a crash in between
   * loses some labels, where the other order would count them twice.
   */
  async send(nowMs: number): Promise<void> {
    this.#unmatched.expire(nowMs);
    const { windows, places } = this.#windows.take();
    await this.log.setSent(places);
    for (const window of windows) this.#events.onWindow(window);
  }
}

function notAnId({ id }: PostedLabel): LabelResult {
  return {
    status: 'unknown',
    detail: `"${id.slice(0, 64)}" is no decision id; they come with answers, as parameters.decision_id`,
  };
}
