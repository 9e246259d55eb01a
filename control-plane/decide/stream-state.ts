/**
 * One monitored stream (a feature, the prediction, a rate) of one version of one deployment.
 *
 *                     first step           M ≥ A/100           M ≥ A and effect ≥ 1
 *     insufficient ─────────────▶ ok ─────────────────▶ watch ─────────────────▶ alert
 *                                 ▲ ◀─────────────────────┘  M < A/100             │
 *                                 │                                                │ effect < ½ in
 *                                 └──────────────── cooling ◀──────────────────────┘ CALM_STEPS steps
 *                                     cool-down over                                   in a row
 *
 * M is the mean of Shiryaev–Roberts e-detectors: its alarms keep a false-alarm budget however often one looks. The
 * effect floor (1, each kind of stream has its own unit) keeps a large fleet from paging over what is certain and tiny,
 * hysteresis and cool-down keep a stream on the edge from opening an alert every other minute.
 */
import { INITIAL_LOG_M, nextLogM } from '../../protocol/statistics/e-detector.ts';
import { logAdd } from './e-process.ts';

interface Evidence {
  /** ln M of each detector of the stream; null is ln 0, which JSON can't hold. */
  readonly logM: readonly (number | null)[];
}

export const severities = ['low', 'high', 'critical'] as const;
export type Severity = (typeof severities)[number];

export type StreamState =
  | ({ readonly kind: 'insufficient' } & Evidence)
  | ({ readonly kind: 'ok' } & Evidence)
  | ({ readonly kind: 'watch' } & Evidence)
  | {
      readonly kind: 'alert';
      readonly sinceMs: number;
      /** Steps in a row below half the floor. */
      readonly calm: number;
      /** The highest it has reached. */
      readonly severity: Severity;
    }
  | { readonly kind: 'cooling'; readonly untilMs: number };

export const NEW_STREAM: StreamState = { kind: 'insufficient', logM: [] };

/** Steps below half the floor that end an alert (`research/monitoring.md` (iii) D). */
export const CALM_STEPS = 3;

const LOG_WATCH = Math.log(100);

/** Effects from which an alert is `high` and `critical`: PSI* of 0.15 and 0.25, or W1 of 0.3 σ and 0.5 σ. */
const HIGH = 1.5;
const CRITICAL = 2.5;

/** What one step says of one stream. */
export type Observation =
  | {
      readonly kind: 'evidence';
      /** ln e of each detector. */
      readonly logE: readonly number[];
      /** In units of the smallest effect worth a person's time. */
      readonly effect: number;
    }
  /** A test that is valid at all times by itself: a confidence sequence. */
  | { readonly kind: 'verdict'; readonly alarm: boolean; readonly effect: number };

export interface StepContext {
  /** ln A, from the false-alarm budget. */
  readonly logLevel: number;
  /** When the step ended. */
  readonly atMs: number;
  /** False while learning: evidence is gathered and nothing raised. */
  readonly mayAlert: boolean;
  readonly coolDownMs: number;
}

/** The state after one more step. */
export function stepStream(
  state: StreamState,
  seen: Observation,
  context: StepContext,
): StreamState {
  if (state.kind === 'alert') return stepAlert(state, seen, context);
  const { atMs, mayAlert, logLevel } = context;
  // Evidence begins anew: what raised the last alert must not raise the next one too.
  if (state.kind === 'cooling' && atMs < state.untilMs) return state;
  const logM = seen.kind === 'verdict' ? [] : gather(state, seen.logE);
  const reached = seen.kind === 'verdict' ? logOf(seen.alarm) : logMean(logM);
  if (reached >= logLevel && seen.effect >= 1 && mayAlert) {
    return { kind: 'alert', sinceMs: atMs, calm: 0, severity: severityOf(seen.effect) };
  }
  return { kind: reached >= logLevel - LOG_WATCH ? 'watch' : 'ok', logM: logM.map(kept) };
}

function stepAlert(
  state: StreamState & { readonly kind: 'alert' },
  seen: Observation,
  { atMs, coolDownMs }: StepContext,
): StreamState {
  const isCalm = seen.kind === 'verdict' ? !seen.alarm : seen.effect < 0.5;
  const calm = isCalm ? state.calm + 1 : 0;
  if (calm >= CALM_STEPS) return { kind: 'cooling', untilMs: atMs + coolDownMs };
  return { ...state, calm, severity: worse(state.severity, severityOf(seen.effect)) };
}

export function severityOf(effect: number): Severity {
  if (effect >= CRITICAL) return 'critical';
  return effect >= HIGH ? 'high' : 'low';
}

export function worse(a: Severity, b: Severity): Severity {
  return severities.indexOf(a) > severities.indexOf(b) ? a : b;
}

/** A verdict is all the evidence there can be, or none. */
function logOf(alarm: boolean): number {
  return alarm ? Number.MAX_VALUE : -Number.MAX_VALUE;
}

function gather(state: StreamState, logE: readonly number[]): number[] {
  const before = 'logM' in state ? state.logM : [];
  return logE.map((each, at) => nextLogM(before[at] ?? INITIAL_LOG_M, each));
}

/** ln of the mean of exp(logM): the mixture of the detectors. */
function logMean(logM: readonly number[]): number {
  return logM.reduce(logAdd, -Infinity) - Math.log(logM.length);
}

function kept(logM: number): number | null {
  if (Number.isFinite(logM)) return logM;
  return logM > 0 ? Number.MAX_VALUE : null;
}
