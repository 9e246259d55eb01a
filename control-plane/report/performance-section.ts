import type { Answer } from './answer.ts';
import { between, count, figure, many, percent, points, span } from './figures.ts';
import { type Html, html } from './html.ts';
import { accuracyChange, performanceTable } from './performance-table.ts';
import type { ReportData } from './report-data.ts';
import type { Status } from './status.ts';
import { timeChart } from './time-chart.ts';

type Performance = NonNullable<ReportData['performance']>;

/** A fall of the accuracy below the baseline's that is certain (95 %) is to be watched; one that is surely larger alerts. */
const ALERT_FALL = 0.05;

export function performanceAnswer({ performance }: ReportData): Answer {
  const base = { title: 'Performance', anchor: 'performance' };
  if (performance === null) {
    return {
      ...base,
      status: 'none',
      sentence: html`Not measured: no labels are joined, and no score can be estimated from.`,
    };
  }
  const { labels, realised } = performance;
  const share = `${count(labels.labelled)} of ${count(labels.predictions)} predictions labelled (${percent(labels.completeness)})`;
  if (realised === null) {
    return {
      ...base,
      status: 'insufficient',
      sentence: html`No labels have come. ${estimateSentence(performance)}`,
    };
  }
  if (realised.kind === 'regression') {
    const sentence = html`Mean absolute error ${figure(realised.meanAbsoluteError.value)} (95 % ${between(realised.meanAbsoluteError, figure)}), bias ${figure(realised.bias.value)} (95 % ${between(realised.bias, figure)}); ${share}.`;
    return { ...base, status: 'none', sentence };
  }
  const change = accuracyChange(performance);
  const against =
    change === null
      ? ' The baseline has no labels to judge that by.'
      : ` ${points(change.difference)} against the baseline (95 % ${between(change.interval, points)}).`;
  const sentence = html`Accuracy ${percent(realised.accuracy.value)} (95 % ${between(realised.accuracy, percent)}); ${share}.${against}`;
  return { ...base, status: statusOf(change), sentence };
}

function statusOf(change: ReturnType<typeof accuracyChange>): Status {
  if (change === null) return 'none';
  if (change.interval.high < -ALERT_FALL) return 'alert';
  return change.interval.high < 0 ? 'watch' : 'ok';
}

export function performanceSection({ performance }: ReportData): Html | null {
  if (performance === null) return null;
  return html`<section id="performance">
    <h2>Performance</h2>
    ${labelFacts(performance)}
    ${performance.realised === null ? html`<p>No labels have come for this period, so nothing realised can be shown.</p>` : performanceTable(performance)}
    ${bounds(performance)}
    <p>${estimateSentence(performance)}</p>
    ${overTime(performance)}
  </section>`;
}

function labelFacts({ labels }: Performance): Html {
  const { delayMs } = labels;
  const facts: readonly (readonly [string, string])[] = [
    ['predictions', count(labels.predictions)],
    ['labelled', `${count(labels.labelled)} (${percent(labels.completeness)})`],
    ['label delay, median', delayMs === null ? '–' : span(delayMs.p50)],
    ['label delay, 95th percentile', delayMs === null ? '–' : span(delayMs.p95)],
    ['said twice', count(labels.duplicate)],
    ['contradicting', count(labels.conflicting)],
  ];
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** What labels that have not come could still make of it. */
function bounds({ realised, labels }: Performance): Html | null {
  if (realised === null || realised.kind === 'regression' || labels.completeness >= 1) return null;
  const missing = labels.predictions - labels.labelled;
  return html`<p>${many(missing, 'label')} ${missing === 1 ? 'is' : 'are'} missing. Whatever they turn out to be, the accuracy of all rows lies between ${percent(realised.accuracyBounds.low)} and ${percent(realised.accuracyBounds.high)} (Manski bounds: all of them wrong, all of them right).</p>`;
}

function estimateSentence({ estimated }: Performance): Html {
  if (estimated === null)
    return html`There is no score from which performance without labels could be estimated.`;
  const { estimate, trust, calibratedOn, unseen } = estimated;
  const base =
    calibratedOn === 'baseline'
      ? 'scores calibrated on the baseline’s labels'
      : 'scores as they are';
  if (unseen !== null) {
    return html`The estimate without labels (CBPE) is withheld: ${percent(unseen.share)} of the rows have a ${unseen.feature} that the baseline never had, and nobody knows how scores and outcomes go together there.`;
  }
  if (estimate === null) {
    return html`The estimate without labels (CBPE) is withheld: on labelled rows it was wrong (trust ${figure(trust)}, below 0.5). That is what a changed relation of inputs and outcome looks like.`;
  }
  const held =
    trust === null
      ? 'not yet held against enough labels'
      : `trust ${figure(trust)} of 1 by the labels that came`;
  const more = [
    ['precision', estimate.precision],
    ['recall', estimate.recall],
  ] as const;
  const rates = more
    .map(([name, value]) => (value === null ? '' : `, ${name} ${percent(value)}`))
    .join('');
  const auc = estimate.auc === null ? '' : `, AUC ${figure(estimate.auc)}`;
  return html`Estimated without labels (CBPE, ${base}): accuracy ${percent(estimate.accuracy)} ± ${points(estimate.halfWidth).replace('+', '')}${rates}${auc}; ${held}. It can’t see a changed relation of inputs and outcome.`;
}

function overTime({ points: all }: Performance): Html | null {
  const realised = all.map(({ startMs, realised: one }) => ({
    atMs: startMs,
    value: one === null || one.trials === 0 ? null : one.value,
    ...(one === null ? {} : { low: one.low, high: one.high }),
  }));
  const estimated = all.map(({ startMs, estimated: value }) => ({ atMs: startMs, value }));
  const has = (points: readonly { readonly value: number | null }[]) =>
    points.some(({ value }) => value !== null);
  const accuracy = timeChart({
    caption: 'Accuracy over time',
    series: [
      ...(has(realised) ? [{ className: 'cur' as const, text: 'realised', points: realised }] : []),
      ...(has(estimated)
        ? [
            {
              className: 'cur2' as const,
              text: 'estimated without labels (CBPE)',
              points: estimated,
            },
          ]
        : []),
    ],
    show: percent,
    low: 0,
    atLeast: 1,
    limits: [],
  });
  const completeness = timeChart({
    caption: 'Labelled share over time',
    series: [
      {
        className: 'cur',
        text: 'labelled',
        points: all.map(({ startMs, completeness: value }) => ({ atMs: startMs, value })),
      },
    ],
    show: percent,
    low: 0,
    atLeast: 1,
    limits: [],
  });
  return html`<div class="two">${accuracy}${completeness}</div>`;
}
