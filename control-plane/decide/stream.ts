import type { DriftMeasure } from '../../protocol/statistics/drift.ts';
import type { Series } from './autocorrelation.ts';
import type { Rate } from './rate-test.ts';
import type { Observation, StreamState } from './stream-state.ts';

/** Everything that is watched of a version, each with its own detectors and its own unit of effect. */
export const streamKinds = [
  'feature',
  'missing',
  'unseen',
  'out-of-range',
  'tensor',
  'prediction',
  'errors',
  'non-finite-outputs',
  'latency',
  'estimated-performance',
  'fairness',
  'selection-gap',
  'label-errors',
  'error-gap',
  'evaluator',
] as const;
export type StreamKind = (typeof streamKinds)[number];

export interface Stream {
  readonly kind: StreamKind;
  /** The feature's, attribute's, tensor's or evaluator's name; the kind itself for the others. */
  readonly name: string;
  readonly state: StreamState;
  /** From the last step. */
  readonly last: StreamMeasure | null;
  readonly memory: StreamMemory | null;
}

/** What people see of a step: the evidence of an alert. */
export type StreamMeasure =
  | ({ readonly kind: 'distance'; readonly effect: number } & DriftMeasure)
  | ({
      readonly kind: 'rate';
      readonly rate: number;
      /** What is no news: the reference with its own chance. */
      readonly tolerated: number;
      readonly effect: number;
    } & Rate)
  | ({
      readonly kind: 'latency';
      readonly p95Us: number;
      readonly referenceP95Us: number;
      readonly effect: number;
    } & Rate)
  | {
      readonly kind: 'gap';
      /** Who differs most from whom, in which rate. */
      readonly group: string;
      readonly against: string;
      readonly rate: string;
      readonly difference: number;
      /** Of the baseline, or the limit that a verdict is about. */
      readonly reference: number;
      readonly rows: number;
      readonly rowsNeeded: number | null;
      readonly effect: number;
    }
  | {
      readonly kind: 'level';
      readonly value: number;
      readonly reference: number;
      readonly rows: number;
      readonly logP: number;
      readonly effect: number;
    };

/** What a stream learns for itself; plain JSON. */
export type StreamMemory =
  /** Rates of the first steps, where the profile has none to compare with. */
  | ({ readonly kind: 'learning'; readonly steps: number } & Rate)
  /** Slower than which bucket is an event; `sparse`: counts by bucket while it is being learned. */
  | {
      readonly kind: 'latency';
      readonly steps: number;
      readonly sparse: readonly (readonly [bucket: number, count: number])[];
      readonly p95: { readonly bucket: number; readonly us: number } | null;
    }
  | ({ readonly kind: 'series' } & Series);

/** A step of one stream. */
export interface Seen {
  readonly observation: Observation;
  readonly measure: StreamMeasure;
  readonly memory?: StreamMemory;
}

/** A step that only taught something. */
export interface Learnt {
  readonly learnt: StreamMemory;
}

/** Kinds of which a version has one stream. */
const ALONE: ReadonlySet<StreamKind> = new Set([
  'prediction',
  'errors',
  'non-finite-outputs',
  'latency',
  'estimated-performance',
  'label-errors',
]);

/** How a stream is called in the database and over HTTP. */
export function streamKey({ kind, name }: Pick<Stream, 'kind' | 'name'>): string {
  return ALONE.has(kind) ? kind : `${kind}:${name}`;
}
