import type { MonitorState } from './drift-monitor.ts';
import type { Stream, StreamKind } from './stream.ts';
import { type Severity, worse } from './stream-state.ts';

/** What a person is told. One alert per kind, however many columns moved: they move together. */
export const monitorAlerts = [
  'input-drift',
  'prediction-drift',
  'data-quality',
  'errors',
  'latency',
  'concept-drift',
  'performance',
  'fairness',
  'evaluation',
] as const;
export type MonitorAlert = (typeof monitorAlerts)[number];

/** An open alert, as far as what to do next depends on it. */
export interface OpenAlert {
  readonly kind: MonitorAlert;
  readonly severity: Severity;
}

export type AlertAction =
  | {
      readonly kind: 'open' | 'escalate';
      readonly alert: MonitorAlert;
      readonly severity: Severity;
      readonly streams: readonly Stream[];
    }
  | { readonly kind: 'close'; readonly alert: MonitorAlert };

const ALERT_OF: Record<StreamKind, MonitorAlert> = {
  feature: 'input-drift',
  tensor: 'input-drift',
  missing: 'data-quality',
  unseen: 'data-quality',
  'out-of-range': 'data-quality',
  prediction: 'prediction-drift',
  errors: 'errors',
  'non-finite-outputs': 'errors',
  latency: 'latency',
  'label-errors': 'concept-drift',
  'estimated-performance': 'performance',
  fairness: 'fairness',
  'selection-gap': 'fairness',
  'error-gap': 'fairness',
  evaluator: 'evaluation',
};

/**
 * What to open, raise and close so that an alert of a kind is open exactly while one of its streams is in `alert`, with
 * the severity of the worst. Level-triggered on purpose: a control plane that died between judging and writing does the
 * same again after its restart.
 */
export function alertActions(
  monitor: Pick<MonitorState, 'streams'>,
  open: readonly OpenAlert[],
): readonly AlertAction[] {
  return monitorAlerts.flatMap((alert): AlertAction[] => {
    const streams = monitor.streams.filter(
      (stream) => ALERT_OF[stream.kind] === alert && stream.state.kind === 'alert',
    );
    const present = open.find((one) => one.kind === alert);
    if (streams.length === 0) return present === undefined ? [] : [{ kind: 'close', alert }];
    const severity = severityOf(streams);
    if (present === undefined) return [{ kind: 'open', alert, severity, streams }];
    const grown = worse(severity, present.severity) !== present.severity;
    return grown ? [{ kind: 'escalate', alert, severity, streams }] : [];
  });
}

function severityOf(streams: readonly Stream[]): Severity {
  return streams.reduce<Severity>(
    (worst, { state }) => (state.kind === 'alert' ? worse(worst, state.severity) : worst),
    'low',
  );
}
