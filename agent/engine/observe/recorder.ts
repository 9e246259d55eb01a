import type { Arm } from '../../../protocol/ids.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { addLatency } from '../../../protocol/sketch/latency.ts';
import {
  emptyWindow,
  type FeatureSketch,
  type WindowGrids,
  type WindowSketch,
} from '../../../protocol/sketch/window.ts';
import type { WatchedTensor } from '../../../protocol/tensor-profile.ts';
import type { Gaps } from '../features/assemble.ts';
import type { WindowMessage } from '../messages.ts';
import type { Tensor } from '../model/runtime.ts';
import type { RequestParameters } from '../serve/request-parameters.ts';
import { OutcomeObserver } from './outcomes.ts';
import { TensorObserver } from './tensors.ts';
import { WatchedColumns } from './watched-columns.ts';

/** An answered request as it is counted. */
export interface Answered {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
  /** From first byte to answer. */
  readonly latencyUs: number;
  /** Elements of its inputs that stand for values that could not be had. */
  readonly gaps: Gaps | null;
  /** The number at the end of its decision id; absent where nobody can name it: steps of pipelines, baselines. */
  readonly decisionRow?: number;
  /** The id that the caller gave it. */
  readonly callerId?: string | null;
  readonly parameters?: RequestParameters | null;
}

/**
 * Counts what one arm of one deployment answers, window by window, on the grids of its version's profile.
 * Knows no clock: whoever cuts a window says when it began.
 */
export class Recorder {
  readonly deployment: string;
  readonly manifestDigest: string;
  readonly arm: Arm;
  readonly #grids: WindowGrids;
  readonly #features: WatchedColumns;
  readonly #prediction: WatchedColumns | null;
  /** Groups, scores and what labels will be joined to; null where there is no prediction. */
  readonly outcomes: OutcomeObserver | null;
  readonly #watched: readonly WatchedTensor[];
  #tensors: TensorObserver | null = null;
  #tensorShare: number | null = null;
  #window: WindowSketch;

  constructor(
    deployment: string,
    manifestDigest: string,
    arm: Arm,
    manifest: Manifest,
    grids: WindowGrids,
    watched: readonly WatchedTensor[] = [],
  ) {
    this.deployment = deployment;
    this.manifestDigest = manifestDigest;
    this.arm = arm;
    this.#grids = grids;
    const { features, prediction } = manifest;
    this.#features = new WatchedColumns(features, grids.features, 'inputs');
    this.#prediction =
      prediction === null ? null : new WatchedColumns([prediction], [grids.prediction], 'outputs');
    this.outcomes = grids.outcome ? new OutcomeObserver(manifest, grids.outcome) : null;
    this.#watched = watched;
    if (watched.length > 0) this.#tensors = new TensorObserver(watched);
    this.#window = this.#open();
  }

  #open(): WindowSketch {
    const window = emptyWindow(this.#grids);
    this.#features.open(window.features);
    this.#prediction?.open([window.prediction]);
    return window;
  }

  /** Part of the rows whose whole tensors are looked at; null: by the kind of tensor. */
  set tensorShare(share: number | null) {
    if (share === this.#tensorShare || this.#watched.length === 0) return;
    this.#tensorShare = share;
    this.#tensors = new TensorObserver(this.#watched, share);
  }

  /** Answered requests, in their order. Their numbers are copied, and counted when there is a block of them. */
  answered(answers: readonly Answered[]): void {
    const window = this.#window;
    window.requests += answers.length;
    addTimes(window, answers);
    const whole = answers.every(hasNoGaps) ? answers : answers.filter(hasNoGaps);
    this.#features.count(whole);
    if (whole !== answers) {
      for (const answer of answers) {
        if (answer.gaps !== null) this.#features.countWithGaps(answer, answer.gaps);
      }
    }
    if (window.outcome !== null) this.outcomes?.answered(answers, window.outcome);
    this.#tensors?.answered(answers, window.tensors);
    this.#prediction?.count(answers);
  }

  /** A request that was right and still failed: the model threw, or answered what JSON can't carry. */
  failed(): void {
    this.#window.requests += 1;
    this.#window.errors += 1;
  }

  /** The finished window, or null when nothing was asked of this arm; starts an empty one. */
  cut(windowStartMs: number, windowMs: number): WindowMessage | null {
    if (this.#window.requests === 0) return null;
    const finished = this.counted();
    this.#window = this.#open();
    return {
      kind: 'window',
      deployment: this.deployment,
      manifest: this.manifestDigest,
      arm: this.arm,
      windowStartMs,
      windowMs,
      body: encodeWindow(finished),
    };
  }

  /** The window being filled, to add to. Its numeric columns lack the rows that no block has been filled with. */
  get current(): WindowSketch {
    return this.#window;
  }

  /** What has been predicted in the window being filled, all of it counted. */
  predicted(): FeatureSketch {
    this.#prediction?.flush();
    return this.#window.prediction;
  }

  /** The window being filled, with everything counted; the profile builder reads the whole baseline out of it. */
  counted(): WindowSketch {
    this.#features.flush();
    this.#prediction?.flush();
    this.#window.nonFiniteOutputs = nonFinite(this.#window.prediction);
    return this.#window;
  }
}

/** Apart from the rest, and so small that the compiler takes `addLatency` into it: called, it would box each duration. */
function addTimes(window: WindowSketch, answers: readonly Answered[]): void {
  const { latency } = window;
  for (let at = 0; at < answers.length; at += 1) {
    window.rows += answers[at].rows;
    addLatency(latency, answers[at].latencyUs);
  }
}

function hasNoGaps({ gaps }: Answered): boolean {
  return gaps === null;
}

function nonFinite(sketch: FeatureSketch): number {
  return sketch.kind === 'numeric' ? sketch.nonFinite : 0;
}
