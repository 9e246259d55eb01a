import type { MonitoringView } from '../http/monitoring-view.ts';
import type { DriftView } from '../http/services.ts';
import type { Context } from './context.ts';
import { sparkbar } from './sparkbar.ts';
import { type Colour, type Terminal, table } from './terminal.ts';
import { parseDuration, showTime } from './values.ts';

type Verdict = DriftView['verdict'];
type Feature = NonNullable<MonitoringView['features']>[number];

const COLOURS: Record<Verdict, Colour> = {
  ok: 'green',
  watch: 'yellow',
  alert: 'red',
  insufficient: 'dim',
};
const BAR_WIDTH = 24;
/** Debiased PSI at which a bar is full: five times what raises an alert. */
const BAR_PSI = 0.5;

export interface DriftOptions {
  readonly last: string;
  readonly feature: readonly string[];
  readonly agent: readonly string[];
  readonly label: readonly string[];
  readonly hosts?: boolean;
}

export async function drift(
  { client, terminal }: Context,
  name: string,
  options: DriftOptions,
): Promise<void> {
  const path = `/api/v1/deployments/${encodeURIComponent(name)}`;
  const view = await client.get<DriftView>(`${path}/drift`);
  const period = await client.get<MonitoringView>(`${path}/monitoring?${queryOf(options)}`);
  terminal.result({ ...view, period });
  const { model, version, verdict } = view;
  terminal.say(
    `${terminal.paint('bold', name)}  ${model}@${version} against its baseline: ${paint(terminal, verdict)}`,
  );
  terminal.say(
    terminal.paint(
      'dim',
      `${showTime(period.from)} to ${showTime(period.to)}, ${period.totals.rows} rows, ${period.totals.requests} requests\n`,
    ),
  );
  terminal.say(featureTable(terminal, view, period));
  for (const line of otherStreams(terminal, view)) terminal.say(line);
  for (const one of period.fairness ?? []) {
    terminal.say(`\nfairness by ${one.attribute}: ${one.verdict}${needed(one.gaps)}`);
  }
  const labels = period.performance?.labels;
  if (labels !== undefined && labels.predictions > 0) {
    const share = (labels.completeness * 100).toFixed(0);
    terminal.say(
      `\nlabels: ${labels.labelled} of ${labels.predictions} (${share} %)${accuracy(period)}`,
    );
  }
  for (const one of period.hosts?.slice(0, 3) ?? []) terminal.say(hostsLine(one));
}

function queryOf({ last, feature, agent, label, hosts }: DriftOptions): URLSearchParams {
  const now = Date.now();
  const sections = 'features,operations,fairness,performance';
  const query = new URLSearchParams({
    from: String(Math.max(0, now - parseDuration('--last', last))),
    to: String(now + 1),
    include: hosts === true ? `${sections},hosts` : sections,
  });
  for (const one of feature) query.append('feature', one);
  if (agent.length > 0) query.set('agent', agent.join(','));
  if (label.length > 0) query.set('label', label.join(','));
  return query;
}

/** Streams as the alarms see them, each with what the period shows of it. */
function featureTable(terminal: Terminal, view: DriftView, period: MonitoringView): string {
  const features = new Map<string, Feature>(
    (period.features ?? []).map((one) => [`feature:${one.name}`, one]),
  );
  if (period.prediction !== null) features.set('prediction', period.prediction);
  const streams = view.streams.filter(({ stream }) => features.has(stream));
  const rows = streams.map(({ stream, name, verdict }) => {
    const one = features.get(stream);
    const points = one?.points.map(({ debiasedPsi, rows: n }) => (n === 0 ? null : debiasedPsi));
    return [
      name,
      terminal.paint(COLOURS[verdict], sparkbar(points ?? [], BAR_WIDTH, BAR_PSI)),
      one === undefined || one.rows.current === 0 ? '' : one.debiasedPsi.toFixed(3),
      one?.wasserstein == null || one.rows.current === 0 ? '' : one.wasserstein.toFixed(2),
      one === undefined ? '' : `${(one.missing.current * 100).toFixed(1)} %`,
      one === undefined || one.rows.current === 0 ? '' : one.adjustedP.toPrecision(2),
      one === undefined ? '' : paint(terminal, one.verdict),
      paint(terminal, verdict),
    ];
  });
  const head = ['stream', 'PSI over time', 'PSI', 'W1/σ', 'missing', 'p (BH)', 'period', 'alarm'];
  return table([head.map((text) => terminal.paint('dim', text)), ...rows]);
}

/** Everything else that is watched: what is loud or can't be told, one a line; what is fine, counted by kind. */
function otherStreams(terminal: Terminal, { streams }: DriftView): readonly string[] {
  const others = streams.filter(({ kind }) => kind !== 'feature' && kind !== 'prediction');
  const loud = others
    .filter(({ verdict }) => verdict !== 'ok')
    .map(({ kind, name, effect, verdict }) => [
      kind === name ? kind : `${kind} of ${name}`,
      paint(terminal, verdict),
      effect === null ? '' : terminal.paint('dim', `${effect.toFixed(1)} × what alerts`),
    ]);
  const fine = new Map<string, number>();
  for (const { kind, verdict } of others) {
    if (verdict === 'ok') fine.set(kind, (fine.get(kind) ?? 0) + 1);
  }
  const kinds = [...fine].map(([kind, amount]) => (amount === 1 ? kind : `${kind} (${amount})`));
  return [
    ...(loud.length === 0 ? [] : [`\n${table(loud)}`]),
    ...(kinds.length === 0
      ? []
      : [terminal.paint('dim', `\nalso watched, ok: ${kinds.join(', ')}`)]),
  ];
}

function paint(terminal: Terminal, verdict: Verdict): string {
  return terminal.paint(COLOURS[verdict], verdict);
}

function needed(gaps: NonNullable<MonitoringView['fairness']>[number]['gaps']): string {
  const most = Math.max(0, ...gaps.map(({ rowsNeeded }) => rowsNeeded ?? 0));
  return most === 0 ? '' : ` (about ${most} more rows needed)`;
}

function accuracy({ performance }: MonitoringView): string {
  const realised = performance?.realised;
  if (realised === null || realised === undefined || realised.kind === 'regression') return '';
  const { value, low, high } = realised.accuracy;
  return `; accuracy ${value.toFixed(3)} (${low.toFixed(3)} to ${high.toFixed(3)})`;
}

function hostsLine(one: NonNullable<MonitoringView['hosts']>[number]): string {
  const hosts = one.hosts.slice(0, 3).map(({ host }) => host);
  const cause = {
    within: `what hosts send changed, most on ${hosts.join(', ')}`,
    mix: `which hosts send changed, most ${hosts.join(', ')}`,
    both: `hosts and what they send changed, most ${hosts.join(', ')}`,
    none: 'no change',
  }[one.cause];
  return `${one.name}: ${cause} (moved ${one.total.toFixed(3)}, within ${one.within.toFixed(3)}, mix ${one.mix.toFixed(3)})`;
}
