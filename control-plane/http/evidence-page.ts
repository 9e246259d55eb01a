import { moment } from '../report/figures.ts';
import { type Html, html, named } from '../report/html.ts';
import { page } from '../report/page-shell.ts';
import { chip, type Status } from '../report/status.ts';
import type { AlertView } from './alerts.ts';
import { evidenceTable } from './evidence-table.ts';

/** What a kind of alert says, for who did not set it up. */
const MEANINGS: Readonly<Record<AlertView['kind'], string>> = {
  'input-drift': 'Inputs are distributed otherwise than in the baseline of this version.',
  'prediction-drift': 'Predictions are distributed otherwise than in the baseline of this version.',
  errors: 'More requests fail, or more answers are no finite number, than is tolerated.',
  'data-quality': 'More values are missing, unknown or out of range than in the baseline.',
  latency: 'Answers take longer than they did.',
  'concept-drift': 'Labels show more wrong answers than when the version was made.',
  performance: 'Performance, as estimated without labels, is worse than in the baseline.',
  fairness: 'Groups are treated differently by more than the limit.',
  evaluation: 'An evaluator scores answers worse than is tolerated.',
  'guard-tripped':
    'Hosts took this version back by themselves: it passed a hard limit of its guard.',
};

/** One alert with its evidence as a page: no script, nothing from elsewhere, all text escaped. */
export function evidencePage(alert: AlertView): string {
  return page(
    `${alert.kind} of ${alert.deployment}`,
    html`<main>
      <header><h1>${alert.kind} of ${named(alert.deployment)}</h1>
      <p class="dim">Alert ${alert.id}. ${MEANINGS[alert.kind]}</p></header>
      ${banner(alert)}
      ${facts(alert)}
      <h2>Evidence</h2>
      ${evidence(alert.detail)}
      <h2>Look further</h2>
      <pre>driftline alert show ${alert.id}${'\n'}driftline report ${alert.deployment} --from ${reportFrom(alert)}</pre>
      <details><summary>All of the evidence as it is stored</summary><pre>${JSON.stringify(alert.detail, null, 2)}</pre></details>
    </main>`,
  );
}

function banner({ detail, openedAt, resolvedAt, acknowledgedBy }: AlertView): Html {
  const { severity } = detail;
  const open: Status = severity === 'low' ? 'watch' : 'alert';
  const told = typeof severity === 'string' ? `, severity ${severity}` : '';
  if (resolvedAt !== null) {
    return html`<div class="verdict ok"><strong>Resolved ${moment(resolvedAt)}</strong><p>It was open from ${moment(openedAt)}${told}.</p></div>`;
  }
  const taken = acknowledgedBy === null ? 'Nobody has taken it.' : `Taken by ${acknowledgedBy}.`;
  return html`<div class="verdict ${open}"><strong>Open since ${moment(openedAt)}${told}</strong><p>${taken}</p></div>`;
}

function facts(alert: AlertView): Html {
  const { version, startMs, endMs, rows } = alert.detail;
  const given: readonly (readonly [string, string | null])[] = [
    ['version', typeof version === 'number' ? String(version) : null],
    ['seen from', typeof startMs === 'number' ? moment(startMs) : null],
    ['to', typeof endMs === 'number' && endMs !== startMs ? moment(endMs) : null],
    ['on rows', typeof rows === 'number' ? rows.toLocaleString('en-US') : null],
    ['acknowledged', alert.acknowledgedAt === null ? null : moment(alert.acknowledgedAt)],
    ['silenced until', alert.silencedUntil === null ? null : moment(alert.silencedUntil)],
    ['silenced because', alert.silenceReason],
  ];
  return html`<dl class="facts">${given.map(([name, value]) => (value === null ? null : html`<div><dt>${name}</dt><dd><bdi>${value}</bdi></dd></div>`))}</dl>
    <p class="dim"><small>manifest ${alert.manifest}</small></p>`;
}

/** Facts that stand at the head of the page already. */
const SHOWN = new Set(['version', 'severity', 'startMs', 'endMs', 'rows', 'windows', 'streams']);

function evidence(detail: AlertView['detail']): Html {
  const streams: readonly unknown[] = Array.isArray(detail.streams) ? detail.streams : [];
  const rest = Object.entries(detail).filter(([name]) => !SHOWN.has(name));
  return html`${streams.map(streamPart)}${rest.length === 0 ? null : evidenceTable(rest)}`;
}

function streamPart(stream: unknown): Html {
  if (typeof stream !== 'object' || stream === null) return html`<p>${String(stream)}</p>`;
  const { stream: key, severity, kind: _, ...figures } = stream as Record<string, unknown>;
  const status: Status = severity === 'low' ? 'watch' : 'alert';
  const told = typeof severity === 'string' ? chip(status, severity) : null;
  return html`<h3>${named(String(key ?? 'stream'))} ${told}</h3>${evidenceTable(Object.entries(figures))}`;
}

const HOUR_MS = 3_600_000;

/** An hour before what was seen, to see it come. */
function reportFrom({ detail, openedAt }: AlertView): string {
  const start = typeof detail.startMs === 'number' ? detail.startMs : openedAt;
  return new Date(Math.max(0, start - HOUR_MS)).toISOString().slice(0, 19).concat('Z');
}
