import { MIN_ROWS } from '../reading/feature-view.ts';
import { miniBars } from './bar-chart.ts';
import { bySeverity, intervalOf } from './drift-answer.ts';
import { featureBody, SHOWN_KIND } from './feature-body.ts';
import { between, distance, many } from './figures.ts';
import { miniHistogram } from './histogram-chart.ts';
import { type Html, html, named } from './html.ts';
import type { FeatureReport, Plot, ReportData } from './report-data.ts';
import { chip } from './status.ts';
import { sparkline } from './time-chart.ts';

/** Cards that are open from the start: what is loud, as much as one reads. */
const OPEN_CARDS = 3;
/**
 * With more features the file would grow past what opens quickly: bins then don't tell their figures under the pointer,
 * and charts have fewer bars and points.
 */
const MAX_FULL = 60;

/** Every feature and the prediction, loudest first; each folds open. */
export function featureSection(data: ReportData): Html | null {
  const features = bySeverity(data.features);
  if (features.length === 0 && data.prediction === null) return null;
  const lean = features.length > MAX_FULL;
  const loud = features.filter(({ verdict }) => verdict === 'alert' || verdict === 'watch');
  const open = new Set(loud.slice(0, OPEN_CARDS));
  return html`<section id="features">
    <h2>Features, loudest first</h2>
    <p class="dim">Each row: verdict, name, reference (filled) and current (line) overlaid, change over time, and the population
 stability index with chance taken off. Open a row for all figures. Drift is called where a test is sure (false discovery
 rate 1 %) and the change is large enough to matter: watch from PSI 0.05 or 0.1 σ, alert from PSI 0.1 or 0.2 σ.</p>
    ${data.prediction === null ? null : [html`<h3>Prediction</h3>`, card(data.prediction, false, lean), html`<h3>${many(features.length, 'feature')}</h3>`]}
    ${features.map((one) => card(one, open.has(one), lean))}
  </section>`;
}

export function card(one: FeatureReport, open: boolean, lean: boolean): Html {
  const points = one.points.map(({ startMs, rows, debiasedPsi }) => ({
    atMs: startMs,
    value: rows === 0 ? null : Math.max(0, debiasedPsi),
  }));
  return html`<details class="feature"${open ? html` open` : null}>
    <summary>
      ${chip(one.verdict)}
      <span class="name">${named(one.name)} <small>${SHOWN_KIND[one.kind]}</small></span>
      <span class="small">${one.plot === null ? null : miniPlot(one.plot)}</span>
      <span class="small">${sparkline(points, 0.1, 'PSI over time')}</span>
      <span class="size">${sizeOf(one)}</span>
    </summary>
    <div class="body">${featureBody(one, lean)}</div>
  </details>`;
}

function sizeOf(one: FeatureReport): Html {
  if (one.reason !== null) return html`<small>not compared</small>`;
  if (one.verdict === 'insufficient') {
    const rows = Math.min(one.rows.reference, one.rows.current);
    return html`<small>${many(rows, 'row')} of ${MIN_ROWS}</small>`;
  }
  return html`PSI ${distance(one.debiasedPsi)} <small>${between(intervalOf(one), distance)}</small>`;
}

function miniPlot(plot: Plot): Html {
  return plot.kind === 'histogram' ? miniHistogram(plot) : miniBars(plot);
}
