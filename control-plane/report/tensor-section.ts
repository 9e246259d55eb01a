import { bySeverity, tensorSentence } from './drift-answer.ts';
import { driftChart } from './feature-body.ts';
import { card } from './feature-section.ts';
import { count, distance, pValue } from './figures.ts';
import { type Html, html, named } from './html.ts';
import type { ReportData, TensorReport } from './report-data.ts';
import { chip } from './status.ts';

/** Measures of a tensor that are open from the start. */
const OPEN_CARDS = 2;

/** Images and embeddings that are watched as a whole, each with what is measured on its rows. */
export function tensorSection({ tensors }: ReportData): Html | null {
  if (tensors.length === 0) return null;
  return html`<section id="tensors">
    <h2>Images and embeddings</h2>
    <p class="dim">Rows as a whole, against the baseline: the cloud of all rows, which centroid is nearest, and what is measured on
 each row. The size of a change is in units of a feature’s PSI, the largest of its parts: watch from 0.05, alert from 0.1.</p>
    ${tensors.map(tensorPart)}
  </section>`;
}

function tensorPart(tensor: TensorReport): Html {
  const measures = bySeverity(tensor.measures);
  const open = new Set(measures.filter(({ verdict }) => verdict === 'alert').slice(0, OPEN_CARDS));
  return html`<h3>${chip(tensor.verdict)} ${named(tensor.name)}</h3>
    <p>${tensorSentence(tensor)}</p>
    ${overTime(tensor)}
    ${figures(tensor)}
    ${measures.map((one) => card(one, open.has(one), false))}`;
}

function overTime({ points }: TensorReport): Html | null {
  const drawn = points.map(({ startMs, rows, effect }) => ({
    atMs: startMs,
    value: rows === 0 ? null : Math.max(0, effect),
  }));
  return driftChart('Size of the change over time, as PSI', 'size', drawn);
}

function figures({ rows, cloud, centroids, logP, adjustedP }: TensorReport): Html {
  const lines = [
    [
      'cloud of all rows',
      distance(cloud),
      'MMD² over the scatter of the baseline (random Fourier features)',
    ],
    ['nearest centroid', distance(centroids), 'PSI, chance taken off'],
    [
      'p',
      pValue(logP),
      `harmonic mean of the parts; over all tensors ${pValue(Math.log(adjustedP))} (Benjamini–Hochberg)`,
    ],
    ['rows looked at', count(rows.current), `baseline ${count(rows.reference)}`],
  ];
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Figures">
    <table><thead><tr><th scope="col">measure</th><th scope="col" class="n">value</th><th scope="col">what it says</th></tr></thead><tbody>
    ${lines.map(([name, value, meaning]) => html`<tr><th scope="row">${name}</th><td class="n">${value}</td><td class="dim">${meaning}</td></tr>`)}
    </tbody></table></div>`;
}
