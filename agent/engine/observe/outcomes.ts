import type { Manifest } from '../../../protocol/manifest.ts';
import { positiveClassOf } from '../../../protocol/outcome-grid.ts';
import { MAX_MAGNITUDE } from '../../../protocol/sketch/moments.ts';
import type { OutcomeGrid, OutcomeSketch } from '../../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../../protocol/sketch/outcome-count.ts';
import {
  addToBlock,
  BLOCK_ROWS,
  emptyBlock,
  type PredictionBlock,
} from '../../../protocol/sketch/prediction-block.ts';
import { parameterOf } from '../serve/request-parameters.ts';
import { DecisionBuffer, hashCaller } from './decision-record.ts';
import type { Answered } from './recorder.ts';
import { RowGroups } from './row-groups.ts';

/** The parameter by which callers name a request, where its `id` means something else to them. */
const CALLER_PARAMETER = 'driftline_id';
const DEFAULT_THRESHOLD = 0.5;
/** Classes whose number is remembered; more than a model has. */
const MAX_KNOWN_CLASSES = 4096;

/**
 * Counts what was predicted, by group and by score, and remembers each row until its label comes. A row whose
 * prediction is no finite number is not counted here: it is among the window's `nonFiniteOutputs`.
 */
export class OutcomeObserver {
  /** Whether rows are remembered for their labels. */
  keepDecisions = false;
  readonly #cells: OutcomeCells;
  readonly #groups: RowGroups;
  readonly #levels: Uint8Array;
  readonly #block: PredictionBlock;
  readonly #decisions: DecisionBuffer;
  readonly #tensor: string;
  readonly #index: number;
  readonly #kind: 'score' | 'class' | 'value' | 'yes-or-no';
  readonly #threshold: number;
  readonly #positiveClass: string;
  readonly #classes = new Map<string | number, number>();
  /** Of the row at hand: one number, in an array because a call would put it into a box on the heap. */
  readonly #prediction = new Float64Array(1);
  #positive = false;

  /** `manifest` has a prediction: without one there is no `grid`. */
  constructor(manifest: Manifest, grid: OutcomeGrid) {
    const { prediction } = manifest;
    this.#cells = new OutcomeCells(grid);
    this.#groups = new RowGroups(manifest, grid.axes);
    this.#levels = new Uint8Array(grid.axes.length);
    this.#block = emptyBlock(grid.axes.length);
    this.#decisions = new DecisionBuffer(grid.axes.length);
    this.#tensor = prediction?.tensor ?? '';
    this.#index = prediction?.index ?? 0;
    this.#threshold = prediction?.threshold ?? DEFAULT_THRESHOLD;
    this.#positiveClass = positiveClassOf(manifest);
    const classes = grid.kind === 'multiclass' ? 'class' : 'yes-or-no';
    this.#kind = prediction?.kind === 'label' ? classes : (prediction?.kind ?? 'value');
  }

  answered(answers: readonly Answered[], into: OutcomeSketch): void {
    for (let at = 0; at < answers.length; at += 1) this.#answer(answers[at], into);
    this.#count(into);
  }

  #count(into: OutcomeSketch): void {
    this.#cells.countPredictions(into, this.#block);
    this.#block.rows = 0;
  }

  #answer(answer: Answered, into: OutcomeSketch): void {
    const data = answer.outputs.get(this.#tensor)?.data;
    const { rows, decisionRow } = answer;
    if (data === undefined || rows === 0) return;
    this.#groups.begin(answer);
    const width = (data.length / rows) | 0;
    const plain = this.#kind === 'score' || this.#kind === 'value';
    const keep = this.keepDecisions && decisionRow !== undefined;
    const caller = keep ? callerOf(answer) : 0;
    for (let row = 0, at = this.#index; row < rows; row += 1, at += width) {
      if (plain && data instanceof Float32Array) this.#prediction[0] = data[at];
      else this.#read(data[at]);
      if (!this.#judge()) continue;
      this.#groups.read(row, this.#levels);
      addToBlock(this.#block, this.#levels, this.#prediction[0], this.#positive);
      if (this.#block.rows === BLOCK_ROWS) this.#count(into);
      if (keep) this.#remember(decisionRow, row, caller);
    }
  }

  #remember(decisionRow: number, row: number, caller: number): void {
    const prediction = this.#prediction[0];
    this.#decisions.add(decisionRow + row, row, caller, prediction, this.#positive, this.#levels);
  }

  /** Takes up what a row predicted. */
  #read(value: number | bigint | string): void {
    const classes = this.#kind === 'class' || this.#kind === 'yes-or-no';
    this.#prediction[0] = classes
      ? this.#numberOf(typeof value === 'bigint' ? Number(value) : value)
      : Number(value);
  }

  /** Whether it is positive; false where it is no prediction. */
  #judge(): boolean {
    const number = this.#prediction[0];
    if (this.#kind === 'score') this.#positive = number >= this.#threshold;
    else this.#positive = this.#kind === 'yes-or-no' && number === 1;
    // Past that the sum of their squares would overflow, and a window with it. A class is never past it.
    return Math.abs(number) <= MAX_MAGNITUDE;
  }

  #numberOf(value: string | number): number {
    const known = this.#classes.get(value);
    if (known !== undefined) return known;
    const yes = String(value) === this.#positiveClass ? 1 : 0;
    const number = this.#kind === 'class' ? this.#cells.classOf(value) : yes;
    if (this.#classes.size >= MAX_KNOWN_CLASSES) this.#classes.clear();
    this.#classes.set(value, number);
    return number;
  }

  /** Rows that are remembered and have not been taken yet. */
  get decisions(): number {
    return this.#decisions.rows;
  }

  /** Records of the rows answered since the last call, in the layout of `decision-record.ts`; null for none. */
  takeDecisions(): Uint8Array | null {
    return this.#decisions.take();
  }
}

/** By which callers may name this request when they bring its label; 0: they gave nothing. */
function callerOf({ callerId, parameters }: Answered): number {
  const named = parameterOf(parameters ?? null, CALLER_PARAMETER);
  if (typeof named === 'string' || typeof named === 'number') return hashCaller(String(named));
  return callerId === null || callerId === undefined ? 0 : hashCaller(callerId);
}
