import type { Answer } from './answer.ts';
import { between, count, figure, percent, span } from './figures.ts';
import { type Html, html, named } from './html.ts';
import type { ReportData } from './report-data.ts';
import { timeChart } from './time-chart.ts';

type Operations = NonNullable<ReportData['operations']>;

/** A share of failed requests, or of answers that are no number, that is surely larger is to be watched. */
const WATCH_ERRORS = 0.01;

export function operationsAnswer({ operations }: ReportData): Answer | null {
  if (operations === null) return null;
  const { errorRate, nonFiniteRate, latencyUs, requests } = operations;
  const base = { title: 'Operations', anchor: 'operations' };
  if (requests === 0)
    return { ...base, status: 'none', sentence: html`No requests in this period.` };
  const bad = Math.max(errorRate.low, nonFiniteRate.low) > WATCH_ERRORS;
  const speed = latencyUs === null ? '' : `, 99 % within ${milliseconds(latencyUs.p99)}`;
  const sentence = html`${count(requests)} requests${speed}; ${percent(errorRate.value)} failed (95 % ${between(errorRate, percent)}), ${percent(nonFiniteRate.value)} of answers were not finite.`;
  return { ...base, status: bad ? 'watch' : 'ok', sentence };
}

export function operationsSection(data: ReportData): Html | null {
  const { operations } = data;
  if (operations === null) return null;
  return html`<section id="operations">
    <h2>Operations</h2>
    <dl class="facts">${factsOf(operations).map(([name, value]) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`)}</dl>
    ${traffic(data)}
    ${evaluators(operations)}
  </section>`;
}

function factsOf({
  requests,
  rows,
  requestsPerSecond,
  errorRate,
  nonFiniteRate,
  latencyUs,
  cost,
}: Operations) {
  const facts: (readonly [string, string])[] = [
    ['requests', count(requests)],
    ['rows', count(rows)],
    ['requests per second', figure(requestsPerSecond)],
    ['failed', `${percent(errorRate.value)} (${between(errorRate, percent)})`],
    ['answers not finite', `${percent(nonFiniteRate.value)} (${between(nonFiniteRate, percent)})`],
  ];
  if (latencyUs !== null) {
    facts.push(
      ['latency, median', milliseconds(latencyUs.p50)],
      ['latency, 95 %', milliseconds(latencyUs.p95)],
      ['latency, 99 %', milliseconds(latencyUs.p99)],
    );
  }
  facts.push(['compute', span(cost.computeUs / 1000)]);
  if (cost.computeUsPerRow !== null)
    facts.push(['compute per row', `${figure(cost.computeUsPerRow)} µs`]);
  if (cost.priceMicros > 0) {
    facts.push(
      ['price', figure(cost.priceMicros / 1e6)],
      ['of it idle', percent(cost.idleMicros / cost.priceMicros)],
      ['price per 1,000 rows', figure((cost.priceMicrosPerThousandRows ?? 0) / 1e6)],
    );
  }
  if (cost.energyJ > 0) facts.push(['energy', `${figure(cost.energyJ)} J`]);
  return facts;
}

function milliseconds(us: number): string {
  return `${figure(us / 1000)} ms`;
}

/** Rows that were counted: any feature sees them all. */
function traffic({ features, prediction }: ReportData): Html | null {
  const points = (prediction ?? features[0])?.points ?? [];
  return timeChart({
    caption: 'Rows over time',
    series: [
      {
        className: 'cur',
        text: 'rows in each point',
        points: points.map(({ startMs, rows }) => ({ atMs: startMs, value: rows })),
      },
    ],
    show: count,
    low: 0,
    atLeast: 1,
    limits: [],
  });
}

function evaluators({ evaluators: all }: Operations): Html | null {
  if (all.length === 0) return null;
  return html`<h3>Evaluators</h3><div class="scroll" tabindex="0" role="region" aria-label="Evaluators">
    <table><thead><tr><th scope="col">evaluator</th><th scope="col" class="n">scored</th><th scope="col" class="n">failed</th><th scope="col" class="n">mean</th>
    <th scope="col">flagged, with 95 %</th></tr></thead><tbody>
    ${all.map(
      ({
        name,
        scored,
        failed,
        mean,
        flagged,
      }) => html`<tr><th scope="row">${named(name)}</th><td class="n">${count(scored)}</td>
        <td class="n">${count(failed)}</td><td class="n">${figure(mean)}</td><td>${percent(flagged.value)} <small>${between(flagged, percent)}</small></td></tr>`,
    )}</tbody></table></div>`;
}
