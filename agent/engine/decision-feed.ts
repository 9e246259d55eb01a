import type { Arm } from '../../protocol/ids.ts';
import { type DecisionBatch, decisionSource } from './decision-batch.ts';
import type { Slot } from './model/slot.ts';
import type { Recorder } from './observe/recorder.ts';

/** Hands on which rows were answered, so that their labels find them later. */
export class DecisionFeed {
  readonly #engine: number;
  readonly #send: (batch: DecisionBatch) => void;
  readonly #sources = new WeakMap<Recorder, string>();

  /** `engine`: as it stands in decision ids. */
  constructor(engine: number, send: (batch: DecisionBatch) => void) {
    this.#engine = engine;
    this.#send = send;
  }

  /** From now on the rows of this arm are remembered; those of a version without a prediction have nothing to be. */
  follow(recorder: Recorder, slot: Slot, arm: Arm): void {
    if (recorder.outcomes === null || this.#sources.has(recorder)) return;
    const source = decisionSource(slot, arm);
    if (source === null) return;
    this.#sources.set(recorder, source);
    recorder.outcomes.keepDecisions = true;
  }

  /** What an arm has answered since the last time: always before its window changes. */
  flush(recorder: Recorder, windowStartMs: number, windowMs: number): void {
    const source = this.#sources.get(recorder);
    const records = recorder.outcomes?.takeDecisions() ?? null;
    if (source === undefined || records === null) return;
    this.#send({
      kind: 'decisions',
      deployment: recorder.deployment,
      source,
      engine: this.#engine,
      windowStartMs,
      windowMs,
      atMs: Date.now(),
      records,
    });
  }
}
