import { FALSE_DISCOVERY_RATE, MIN_ROWS } from '../reading/feature-view.ts';
import type { Answer } from './answer.ts';
import { between, distance, many } from './figures.ts';
import { type Html, html, named } from './html.ts';
import type { FeatureReport, ReportData, TensorReport } from './report-data.ts';
import { STATUS_ORDER } from './status.ts';

/** Features that a sentence names. */
const NAMED = 3;

/** Loudest first: by verdict, then by effect in units of what alerts (PSI 0.1, W1 0.2 σ). */
export function bySeverity(features: readonly FeatureReport[]): readonly FeatureReport[] {
  const effect = ({ debiasedPsi, wasserstein }: FeatureReport) =>
    Math.max(debiasedPsi / 0.1, (wasserstein ?? 0) / 0.2);
  return [...features].sort(
    (a, b) =>
      STATUS_ORDER.indexOf(a.verdict) - STATUS_ORDER.indexOf(b.verdict) || effect(b) - effect(a),
  );
}

export function driftAnswer(data: ReportData): Answer {
  const all = [...data.features, ...(data.prediction === null ? [] : [data.prediction])];
  const base = { title: 'Drift', anchor: 'features' };
  const tensors = tensorSentences(data.tensors);
  if (all.length > 0) {
    const sentence = html`${sentenceOf(data, bySeverity(all))}${tensors}`;
    return { ...base, status: data.verdict, sentence };
  }
  if (tensors.length > 0) {
    return { ...base, anchor: 'tensors', status: data.verdict, sentence: html`${tensors}` };
  }
  const sentence = html`Nothing was compared: the version has no baseline, or no feature was asked for.`;
  return { ...base, status: 'none', sentence };
}

/** One for each image or embedding that is watched as a whole. */
function tensorSentences(tensors: readonly TensorReport[]): Html[] {
  return tensors.map((tensor) => html`${tensorSentence(tensor)} `);
}

export function tensorSentence({ name, verdict, rows, effect }: TensorReport): Html {
  switch (verdict) {
    case 'insufficient':
      return html`Of tensor ${named(name)}, ${many(rows.current, 'row was', 'rows were')} looked at, and ${many(rows.reference, 'row')} of the baseline: a verdict needs ${MIN_ROWS} of each.`;
    case 'ok':
      return html`Tensor ${named(name)} did not move by as much as matters (${distance(effect)}, as PSI).`;
    default:
      return html`Tensor ${named(name)} moved${verdict === 'alert' ? ' by a lot' : ''}: ${distance(effect)}, as PSI.`;
  }
}

function sentenceOf(data: ReportData, sorted: readonly FeatureReport[]): Html {
  const moved = sorted.filter(({ verdict }) => verdict === 'alert' || verdict === 'watch');
  const short = sorted.filter(({ verdict }) => verdict === 'insufficient');
  const total = many(data.features.length, 'feature');
  const unsure =
    short.length === 0 ? null : html` ${many(short.length, 'has', 'have')} too little data.`;
  if (moved.length > 0) {
    const names = moved
      .slice(0, NAMED)
      .map(
        (one, at) =>
          html`${at === 0 ? '' : ', '}${named(one.name)} (PSI ${distance(one.debiasedPsi)}, 95 % ${between(intervalOf(one), distance)})`,
      );
    const more = moved.length > NAMED ? ` and ${moved.length - NAMED} more` : '';
    const columns = moved.filter((one) => one !== data.prediction).length;
    const also =
      columns < moved.length
        ? columns === 0
          ? ', but the prediction did'
          : ', and so did the prediction'
        : '';
    return html`${columns} of ${total} moved${also}: ${names}${more}.${unsure}`;
  }
  if (short.length === sorted.length) return html`${missingRows(short)}`;
  return html`None of ${total} moved by as much as matters.${unsure} Of what is called drift, at most ${FALSE_DISCOVERY_RATE * 100} % is expected to be chance.`;
}

/** What a verdict still needs. */
function missingRows(short: readonly FeatureReport[]): string {
  const least = (side: 'reference' | 'current') => Math.min(...short.map(({ rows }) => rows[side]));
  const reason = short.every(({ reason: why }) => why !== null) ? ` ${short[0].reason}.` : '';
  return `Can’t be told: a verdict needs ${MIN_ROWS} rows on each side; there are ${least('current')} current and ${least('reference')} reference rows in the feature with the fewest.${reason}`;
}

export function intervalOf(one: FeatureReport) {
  return one.psiInterval;
}
