import type { RateView } from '../reading/feature-view.ts';
import type { Answer } from './answer.ts';
import { between, many, percent } from './figures.ts';
import { type Html, html, named } from './html.ts';
import type { FeatureReport, ReportData } from './report-data.ts';
import { chip, STATUS_ORDER, type Status, worst } from './status.ts';

/** How far, at the least (lower end of the interval), a rate lies above the reference's: from there on it is shown as … */
const WORSE = [
  ['alert', 0.05],
  ['watch', 0.01],
] as const;
const SHOWN_ROWS = 15;

/** Rates of rows that a model can't use as they are. */
interface Quality {
  readonly feature: FeatureReport;
  readonly status: Status;
  readonly rates: readonly { readonly name: string; readonly rate: RateView }[];
  readonly most: number;
}

export function qualityAnswer(data: ReportData): Answer {
  const all = qualities(data);
  const base = { title: 'Data quality', anchor: 'quality' };
  if (all.every(({ status }) => status === 'none')) {
    return { ...base, status: 'none', sentence: html`No rows to look at.` };
  }
  const bad = all.filter(({ status }) => status === 'alert' || status === 'watch');
  const [first] = bad;
  if (first === undefined) {
    const sentence = html`No more missing, unknown or out-of-range values than in the reference (${many(all.length, 'feature')}).`;
    return { ...base, status: 'ok', sentence };
  }
  const worse = [...first.rates].sort((a, b) => excess(b.rate) - excess(a.rate))[0];
  const sentence = html`${many(bad.length, 'feature')} got worse; most ${named(first.feature.name)}: ${worse.name} ${percent(worse.rate.current)} (95 % ${between(worse.rate, percent)}; reference ${percent(worse.rate.reference)}).`;
  return { ...base, status: worst(bad.map(({ status }) => status)), sentence };
}

export function qualitySection(data: ReportData): Html | null {
  const all = qualities(data);
  if (all.length === 0) return null;
  const rest = all.slice(SHOWN_ROWS);
  return html`<section id="quality">
    <h2>Data quality</h2>
    <p class="dim">Shares of all rows, with 95 % Wilson intervals of the current share. Marked as watch (alert) where the whole
 interval lies more than 1 (5) percentage points above the reference. Unknown: outside of the reference’s values, or NaN or
 infinite for a number. Out of range: below the smallest or above the largest value of the reference.</p>
    ${table(all.slice(0, SHOWN_ROWS))}
    ${rest.length === 0 ? null : html`<details><summary>the other ${many(rest.length, 'feature')}</summary>${table(rest)}</details>`}
  </section>`;
}

/** A tensor by any of its measures: rows of another shape are missing in all, and such that are not finite are so in all. */
function tensorFeatures({ tensors }: ReportData): readonly FeatureReport[] {
  return tensors.flatMap(({ name, measures: [first] }) =>
    first === undefined ? [] : [{ ...first, name, outOfRange: null }],
  );
}

function qualities(data: ReportData): readonly Quality[] {
  return [...data.features, ...tensorFeatures(data)]
    .map((feature): Quality => {
      const rates = [
        { name: 'missing', rate: feature.missing },
        {
          name: feature.kind === 'numeric' ? 'not a finite number' : 'unknown',
          rate: feature.unseen,
        },
        ...(feature.outOfRange == null ? [] : [{ name: 'out of range', rate: feature.outOfRange }]),
      ];
      const most = Math.max(...rates.map(({ rate }) => excess(rate)));
      const status = WORSE.find(([, floor]) => most >= floor)?.[0] ?? 'ok';
      return { feature, rates, most, status: feature.rows.current === 0 ? 'none' : status };
    })
    .sort(
      (a, b) => STATUS_ORDER.indexOf(a.status) - STATUS_ORDER.indexOf(b.status) || b.most - a.most,
    );
}

function excess({ low, reference }: RateView): number {
  return low - reference;
}

function table(rows: readonly Quality[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Data quality of each feature">
    <table><thead><tr><th scope="col">feature</th><th scope="col"></th><th scope="col">missing</th>
    <th scope="col">unknown</th><th scope="col">out of range</th></tr></thead><tbody>
    ${rows.map(
      ({
        feature,
        status,
      }) => html`<tr><th scope="row">${named(feature.name)}</th><td>${chip(status)}</td>
        <td>${cell(feature.missing)}</td><td>${cell(feature.unseen)}</td><td>${cell(feature.outOfRange)}</td></tr>`,
    )}
    </tbody></table></div>`;
}

function cell(rate: RateView | null | undefined): Html {
  if (rate == null) return html`–`;
  if (rate.current === 0 && rate.reference === 0) return html`0 %`;
  return html`${percent(rate.current)} <small>${between(rate, percent)}; reference ${percent(rate.reference)}</small>`;
}
