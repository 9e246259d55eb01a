import type { Interval } from '../../protocol/statistics/wilson.ts';
import { MIN_ROWS } from '../reading/feature-view.ts';
import { barChart } from './bar-chart.ts';
import { between, count, distance, figure, many, percent, pValue } from './figures.ts';
import { histogramChart } from './histogram-chart.ts';
import { type Html, html } from './html.ts';
import type { FeatureReport, Plot, ReportKind } from './report-data.ts';
import { type TimePoint, timeChart } from './time-chart.ts';

export const SHOWN_KIND: Readonly<Record<ReportKind, string>> = {
  numeric: 'numeric',
  categorical: 'categorical',
  hashed: 'categorical, hashed',
  text: 'text',
  datetime: 'date and time',
  id: 'identifier',
};

/** What one feature folds open to: why it is judged so, pictures, and every figure with its interval. */
export function featureBody(one: FeatureReport, lean: boolean): Html {
  return html`<p>${verdictSentence(one)}</p>
    ${one.plot === null ? noPicture(one) : picture(one.plot, lean)}
    ${one.points.length === 0 ? null : overTime(one, lean)}
    ${one.reason === null && one.rows.current > 0 ? figures(one) : null}`;
}

export function verdictSentence(one: FeatureReport): string {
  if (one.reason !== null) return `Not compared: ${one.reason}.`;
  const { reference, current } = one.rows;
  const p = pValue(Math.log(one.adjustedP));
  const sure = `p ${p.startsWith('<') ? p : `= ${p}`} over all features`;
  const size = `PSI ${distance(one.debiasedPsi)}${one.wasserstein === null ? '' : `, W1 ${distance(one.wasserstein)} σ`}`;
  switch (one.verdict) {
    case 'insufficient': {
      const lacking = [
        current < MIN_ROWS ? `${many(MIN_ROWS - current, 'current row')}` : null,
        reference < MIN_ROWS ? `${many(MIN_ROWS - reference, 'reference row')}` : null,
      ].filter((text) => text !== null);
      return `Insufficient data: ${count(current)} current and ${count(reference)} reference rows; a verdict needs ${MIN_ROWS} of each, so ${lacking.join(' and ') || 'some'} more.`;
    }
    case 'alert':
      return `Drifted: surely (${sure}), and by a lot (${size}).`;
    case 'watch':
      return `Moved: surely (${sure}), by an amount worth watching (${size}).`;
    case 'ok':
      return one.adjustedP > 0.01
        ? `No drift: what is seen is no more than chance explains (${sure}; ${size}).`
        : `No drift that matters: a change is certain (${sure}), and too small to act on (${size}).`;
  }
}

function picture(plot: Plot, lean: boolean): Html {
  return plot.kind === 'histogram' ? histogramChart(plot, !lean) : barChart(plot, lean);
}

function noPicture(one: FeatureReport): Html | null {
  if (one.kind !== 'hashed') return null;
  return html`<p class="dim">No picture: this feature has more values than a dictionary holds, so it is counted by hash, and its values never leave the host. The distances below are measured on 32 buckets of the hash.</p>`;
}

/** A size of change over time, in units of PSI, with the limits that verdicts ask for. */
export function driftChart(
  caption: string,
  text: string,
  points: readonly TimePoint[],
  lean = false,
): Html | null {
  return timeChart(
    {
      caption,
      series: [{ className: 'cur', text, points }],
      show: distance,
      low: 0,
      atLeast: 0.12,
      limits: [
        { value: 0.05, text: 'watch 0.05' },
        { value: 0.1, text: 'alert 0.1' },
      ],
    },
    lean,
  );
}

function overTime(one: FeatureReport, lean: boolean): Html {
  const series = (value: (point: FeatureReport['points'][number]) => number | null) =>
    one.points.map((point) => ({
      atMs: point.startMs,
      value: point.rows === 0 ? null : value(point),
    }));
  const psi = driftChart(
    'PSI over time, chance taken off',
    'PSI',
    series(({ debiasedPsi }) => Math.max(0, debiasedPsi)),
    lean,
  );
  const missing = one.points.some((point) => point.missing > 0)
    ? timeChart(
        {
          caption: 'Missing over time',
          series: [
            { className: 'cur2', text: 'missing', points: series((point) => point.missing) },
          ],
          show: percent,
          low: 0,
          atLeast: 0.01,
          limits: [],
        },
        lean,
      )
    : null;
  if (psi === null)
    return html`<p class="dim">No rows between the start and the end of the period.</p>`;
  return missing === null ? psi : html`<div class="two">${psi}${missing}</div>`;
}

interface Line {
  readonly name: string;
  readonly value: string;
  readonly interval: string;
  readonly meaning: string;
}

function figures(one: FeatureReport): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Figures">
    <table><thead><tr><th scope="col">measure</th><th scope="col" class="n">value</th><th scope="col">95 % interval</th>
    <th scope="col">what it says</th></tr></thead><tbody>
    ${[...distances(one), ...moments(one)].map(
      ({ name, value, interval, meaning }) =>
        html`<tr><th scope="row">${name}</th><td class="n">${value}</td><td class="s">${interval}</td><td class="dim">${meaning}</td></tr>`,
    )}
    </tbody></table></div>`;
}

function distances(one: FeatureReport): readonly Line[] {
  const line = (
    name: string,
    value: number | null,
    interval: Interval | null | undefined,
    meaning: string,
  ): Line[] =>
    value === null
      ? []
      : [{ name, value: distance(value), interval: between(interval, distance), meaning }];
  return [
    ...line(
      'PSI',
      one.debiasedPsi,
      one.psiInterval,
      `chance taken off; as computed ${distance(one.psi)}`,
    ),
    ...line(
      'Wasserstein',
      one.wasserstein,
      one.wassersteinInterval,
      'mean way a value moved, in σ of the reference',
    ),
    ...line('Kolmogorov–Smirnov', one.ks, one.ksInterval, 'largest gap of the cumulative shares'),
    ...line('Jensen–Shannon', one.js, one.jsInterval, 'distance from 0 to 1 (base 2)'),
    ...line('L∞', one.lInfinity, one.lInfinityInterval, 'largest change of one bin’s share'),
    {
      name: 'p',
      value: pValue(one.logP),
      interval: '',
      meaning: `chi-square test of the same distribution; over all features ${pValue(Math.log(one.adjustedP))} (Benjamini–Hochberg)`,
    },
  ];
}

function moments(one: FeatureReport): readonly Line[] {
  const { mean, sigma, rows } = one;
  const lines: Line[] = [
    {
      name: 'rows',
      value: count(rows.current),
      interval: '',
      meaning: `reference ${count(rows.reference)}`,
    },
  ];
  if (mean !== null) {
    lines.push({
      name: 'mean',
      value: figure(mean.current),
      interval: between(mean, figure),
      meaning: `reference ${figure(mean.reference)}`,
    });
  }
  if (sigma !== null) {
    lines.push({
      name: 'standard deviation',
      value: figure(sigma.current),
      interval: '',
      meaning: `reference ${figure(sigma.reference)}`,
    });
  }
  return lines;
}
