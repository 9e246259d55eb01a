import type { MonitoringInForce } from '../../protocol/monitoring.ts';
import type { OutcomeSketch } from '../../protocol/sketch/outcome.ts';
import type { FeatureSketch, WindowSketch } from '../../protocol/sketch/window.ts';
import { logAlarmLevel } from '../../protocol/statistics/e-detector.ts';
import type { TensorWatch } from '../../protocol/statistics/tensor-drift.ts';
import type { Block } from './block.ts';
import type { ArmShape } from './compare-arms.ts';
import { fairnessNames } from './fairness-signal.ts';
import { observeBlock } from './observe-block.ts';
import { type Agreement, observeLabels, trustIn } from './observe-labels.ts';
import { addOutcome, type OutcomeSum } from './outcome-sum.ts';
import { qualityKinds } from './quality-signal.ts';
import type { Learnt, Seen, Stream, StreamKind } from './stream.ts';
import { NEW_STREAM, stepStream } from './stream-state.ts';

/** What a version is watched against. Without a profile only the rates are watched. */
export interface MonitorShape extends ArmShape {
  /** The profile's transforms, in the order of the grids' tensors. */
  readonly tensors?: readonly (TensorWatch & { readonly name: string; readonly side: Side })[];
}
type Side = 'input' | 'output';

/** What is kept of a monitored (deployment, version) between blocks; plain JSON. */
export interface MonitorState {
  readonly judgedUntilMs: number;
  readonly blocks: number;
  /** On the control plane's clock: labels come when they come. */
  readonly labelsJudgedMs: number;
  readonly labelSteps: number;
  /** How far the estimate without labels is to be believed, 0 to 1; null before labels came. */
  readonly trust: number | null;
  /** What `trust` is made of. */
  readonly agreement: Agreement | null;
  readonly outcome: OutcomeSum | null;
  readonly streams: readonly Stream[];
}

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;
/** After an alert, at least an hour and 12 windows without the next one (`research/monitoring.md` (iii) D). */
const COOL_DOWN_WINDOWS = 12;

export function newMonitor(shape: MonitorShape, config: MonitoringInForce): MonitorState {
  return {
    judgedUntilMs: 0,
    blocks: 0,
    labelsJudgedMs: 0,
    labelSteps: 0,
    trust: null,
    agreement: null,
    outcome: null,
    streams: streamsOf(shape, config).map(([kind, name]) => ({
      ...{ kind, name, state: NEW_STREAM },
      ...{ last: null, memory: null },
    })),
  };
}

/** The streams of a version: what its profile, its groups and its configuration make possible. */
function streamsOf(
  { reference, features, grids, predicts, tensors = [] }: MonitorShape,
  config: MonitoringInForce,
): (readonly [StreamKind, string])[] {
  const own = (kind: StreamKind) => [kind, kind] as const;
  const outcome = grids.outcome ?? null;
  const validated = reference?.outcome ?? null;
  const axes = outcome?.kind === 'binary' ? outcome.axes.map(({ attribute }) => attribute) : [];
  const eDetector = config.detectors.some(({ kind }) => kind === 'e-detector');
  const columns = reference === null ? [] : features;
  const quality = columns.flatMap((name, at) =>
    qualityKinds(sketchAt(reference, at)).map((kind) => [kind, name] as const),
  );
  return [
    ...columns.map((name) => ['feature', name] as const),
    ...(reference !== null && predicts ? [own('prediction')] : []),
    ...tensors.map(({ name }) => ['tensor', name] as const),
    ...quality,
    own('errors'),
    own('non-finite-outputs'),
    own('latency'),
    ...(hasScores(validated) ? [own('estimated-performance')] : []),
    ...(outcome === null ? [] : fairnessNames(outcome).map((name) => ['fairness', name] as const)),
    ...(validated === null ? [] : axes.map((name) => ['selection-gap', name] as const)),
    ...(outcome !== null && eDetector ? [own('label-errors')] : []),
    ...(validated === null ? [] : axes.map((name) => ['error-gap', name] as const)),
    ...config.evaluators.map(({ name }) => ['evaluator', name] as const),
  ];
}

function hasScores(outcome: OutcomeSketch | null): boolean {
  return outcome !== null && outcome.kind === 'binary' && outcome.scores.some((count) => count > 0);
}

function sketchAt(reference: WindowSketch | null, at: number): FeatureSketch {
  if (reference === null) throw new Error('no profile, no columns');
  return reference.features[at];
}

/**
 * The state after judging one ripe block.
 *
 * @param seasonal what the same hour of other weeks looked like, in the place of the profile; null: the profile
 */
export function judgeBlock(
  before: MonitorState,
  shape: MonitorShape,
  config: MonitoringInForce,
  block: Block,
  windowMs: number,
  seasonal: WindowSketch | null = null,
): MonitorState {
  const outcome = addOutcome(
    before.outcome,
    block.window.outcome,
    block.endMs,
    config.falseAlarmDays,
  );
  const state = { ...before, outcome };
  const observed = observeBlock(state, shape, config, block.window, seasonal);
  const context = {
    logLevel: levelOf(state, config, windowMs),
    atMs: block.endMs,
    mayAlert: state.blocks >= config.learningWindows,
    coolDownMs: coolDownOf(windowMs),
  };
  return {
    ...state,
    judgedUntilMs: block.endMs,
    blocks: state.blocks + 1,
    streams: state.streams.map((stream) => step(stream, observed(stream), context)),
  };
}

/**
 * The state after judging labels that have come since the last time, of whatever windows. At most once a window, on the
 * control plane's clock: the false-alarm budget counts on it.
 */
export function judgeLabels(
  before: MonitorState,
  shape: MonitorShape,
  config: MonitoringInForce,
  labels: OutcomeSketch,
  windowMs: number,
  now: number,
): MonitorState {
  const outcome = addOutcome(before.outcome, labels, now, config.falseAlarmDays);
  const { observed, agreement } = observeLabels({ ...before, outcome }, shape, config, labels);
  const context = {
    logLevel: levelOf(before, config, windowMs),
    atMs: now,
    // What is right and wrong does not depend on how many windows have passed: enough labels are enough.
    mayAlert: before.blocks >= config.learningWindows,
    coolDownMs: coolDownOf(windowMs),
  };
  return {
    ...before,
    outcome,
    trust: trustIn(agreement) ?? before.trust,
    agreement,
    labelsJudgedMs: now,
    labelSteps: before.labelSteps + 1,
    streams: before.streams.map((stream) => step(stream, observed(stream), context)),
  };
}

function step(
  stream: Stream,
  seen: Seen | Learnt | null,
  context: Parameters<typeof stepStream>[2],
): Stream {
  if (seen === null) return stream;
  if ('learnt' in seen) return { ...stream, memory: seen.learnt };
  const state = stepStream(stream.state, seen.observation, context);
  // What is seen during an alert is not what is usual.
  const memory = stream.state.kind === 'alert' ? stream.memory : (seen.memory ?? stream.memory);
  return { ...stream, state, last: seen.measure, memory };
}

function levelOf(
  { streams }: MonitorState,
  { falseAlarmDays }: MonitoringInForce,
  windowMs: number,
): number {
  return logAlarmLevel(streams.length, DAY_MS / windowMs, falseAlarmDays);
}

function coolDownOf(windowMs: number): number {
  return Math.max(HOUR_MS, COOL_DOWN_WINDOWS * windowMs);
}
