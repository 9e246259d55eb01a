import type { WindowSketch } from '../../protocol/sketch/window.ts';
import { compareFeature, type DriftMeasure } from '../../protocol/statistics/drift.ts';
import { logAlarmLevel } from '../../protocol/statistics/e-detector.ts';
import { logEValue } from '../../protocol/statistics/e-value.ts';
import { type Block, MIN_BLOCK_ROWS } from './block.ts';
import type { ArmShape } from './compare-arms.ts';
import { logRateTest, rateOf } from './rate-test.ts';
import { NEW_STREAM, type Observation, type StreamState, stepStream } from './stream-state.ts';

/** What a version is watched against. Without a profile only the rates are watched. */
export type MonitorShape = ArmShape;

export type StreamKind = 'feature' | 'prediction' | 'errors' | 'non-finite-outputs';

export interface Stream {
  readonly kind: StreamKind;
  /** The feature's name; the kind itself for the others. */
  readonly name: string;
  readonly state: StreamState;
  /** From the last judged block. */
  readonly last: StreamMeasure | null;
}

export type StreamMeasure =
  | ({ readonly kind: 'distance' } & DriftMeasure)
  | {
      readonly kind: 'rate';
      readonly rate: number;
      readonly events: number;
      readonly trials: number;
    };

/** What is kept of a monitored (deployment, version) between blocks; plain JSON. */
export interface MonitorState {
  readonly judgedUntilMs: number;
  readonly blocks: number;
  readonly streams: readonly Stream[];
}

/** Debiased PSI in nats below which drift is not worth a page, however certain. */
export const DRIFT_FLOOR = 0.1;

/** Days in which all streams of a deployment together may raise one false alarm. */
export const FALSE_ALARM_DAYS = 30;

/**
 * What a healthy version may fail or answer with NaN: there is no baseline of errors in a profile,
 * so up to 1 in 100 is never evidence, and 2 in 100 is the smallest rate that pages.
 */
export const TOLERATED_RATE = 0.01;
export const RATE_FLOOR = 0.02;

/** Stands for the tolerated rate: as many trials as make its own chance negligible. */
const REFERENCE_TRIALS = 1_000_000;

export function newMonitor(shape: MonitorShape): MonitorState {
  const stream = (kind: StreamKind, name: string): Stream => ({
    kind,
    name,
    state: NEW_STREAM,
    last: null,
  });
  const compared = shape.reference !== null;
  return {
    judgedUntilMs: 0,
    blocks: 0,
    streams: [
      ...(compared ? shape.features.map((name) => stream('feature', name)) : []),
      ...(compared && shape.predicts ? [stream('prediction', 'prediction')] : []),
      stream('errors', 'errors'),
      stream('non-finite-outputs', 'non-finite-outputs'),
    ],
  };
}

/** The state after judging one ripe block. */
export function judgeBlock(
  state: MonitorState,
  shape: MonitorShape,
  block: Block,
  windowMs: number,
): MonitorState {
  const perDay = 86_400_000 / windowMs;
  const level = logAlarmLevel(state.streams.length, perDay, FALSE_ALARM_DAYS);
  const streams = state.streams.map((stream): Stream => {
    const seen = observe(stream, shape, block.window);
    if (seen === null) return stream;
    const next = stepStream(stream.state, seen.observation, level, block.endMs);
    return { ...stream, state: next, last: seen.measure };
  });
  return { judgedUntilMs: block.endMs, blocks: state.blocks + 1, streams };
}

interface Seen {
  readonly observation: Observation;
  readonly measure: StreamMeasure;
}

/** Null when the block can't speak of this stream. */
function observe(stream: Stream, shape: MonitorShape, window: WindowSketch): Seen | null {
  switch (stream.kind) {
    case 'feature':
      return distance(shape, window, shape.features.indexOf(stream.name));
    case 'prediction':
      return distance(shape, window, 'prediction');
    case 'errors':
      return rate(window.errors, window.requests);
    case 'non-finite-outputs':
      return rate(window.nonFiniteOutputs, window.rows);
  }
}

function distance(
  shape: MonitorShape,
  window: WindowSketch,
  at: number | 'prediction',
): Seen | null {
  if (shape.reference === null || at === -1 || window.rows < MIN_BLOCK_ROWS) return null;
  const measure =
    at === 'prediction'
      ? compareFeature(shape.reference.prediction, window.prediction, shape.grids.prediction)
      : compareFeature(shape.reference.features[at], window.features[at], shape.grids.features[at]);
  const observation = {
    logE: logEValue(measure.logP),
    effect: measure.psiDebiased,
    floor: DRIFT_FLOOR,
  };
  return { observation, measure: { kind: 'distance', ...measure } };
}

function rate(count: number, trials: number): Seen | null {
  if (trials === 0) return null;
  const seen = { events: Math.min(count, trials), trials };
  const tolerated = { events: TOLERATED_RATE * REFERENCE_TRIALS, trials: REFERENCE_TRIALS };
  const value = rateOf(seen);
  return {
    observation: {
      logE: value <= TOLERATED_RATE ? Math.log(0.5) : logEValue(logRateTest(tolerated, seen)),
      effect: value,
      floor: RATE_FLOOR,
    },
    measure: { kind: 'rate', rate: value, ...seen },
  };
}
