import type { MonitorState, Stream, StreamKind } from './drift-monitor.ts';

/** What a person is told. One alert per kind, however many columns moved: they move together. */
export type AlertKind = 'input-drift' | 'prediction-drift' | 'errors';

export type AlertAction =
  | { readonly kind: 'open'; readonly alert: AlertKind; readonly streams: readonly Stream[] }
  | { readonly kind: 'close'; readonly alert: AlertKind };

const ALERT_OF: Record<StreamKind, AlertKind> = {
  feature: 'input-drift',
  prediction: 'prediction-drift',
  errors: 'errors',
  'non-finite-outputs': 'errors',
};

const ALERT_KINDS: readonly AlertKind[] = ['input-drift', 'prediction-drift', 'errors'];

/**
 * What to open and close so that an alert of a kind is open exactly while one of its streams is in
 * `alert`. Level-triggered on purpose: a control plane that died between judging and writing does
 * the same again after its restart.
 */
export function alertActions(
  monitor: MonitorState,
  open: ReadonlySet<AlertKind>,
): readonly AlertAction[] {
  return ALERT_KINDS.flatMap((alert): AlertAction[] => {
    const streams = monitor.streams.filter(
      (stream) => ALERT_OF[stream.kind] === alert && stream.state.kind === 'alert',
    );
    if (streams.length > 0 && !open.has(alert)) return [{ kind: 'open', alert, streams }];
    if (streams.length === 0 && open.has(alert)) return [{ kind: 'close', alert }];
    return [];
  });
}
