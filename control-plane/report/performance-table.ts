import { newcombe, type Trials } from '../../protocol/statistics/trials.ts';
import type { Interval } from '../../protocol/statistics/wilson.ts';
import type { Estimate } from '../reading/fairness-view.ts';
import { between, figure, percent, points } from './figures.ts';
import { type Html, html } from './html.ts';
import type { ReportData } from './report-data.ts';

type Performance = NonNullable<ReportData['performance']>;
type Realised = NonNullable<Performance['realised']>;

/** One measure: of the period, and of the baseline where it has labels. */
interface Line {
  readonly name: string;
  readonly now: Html;
  readonly before: Html;
  readonly change: string;
  readonly meaning: string;
}

export interface Change {
  readonly difference: number;
  /** 95 % (Newcombe). */
  readonly interval: Interval;
}

/** Accuracy against the baseline's; null where one of them can't be had. */
export function accuracyChange({ realised, baseline }: Performance): Change | null {
  if (realised === null || realised.kind === 'regression') return null;
  if (baseline === null || baseline.kind === 'regression') return null;
  return changeOf(realised.accuracy, baseline.accuracy);
}

export function performanceTable({ realised, baseline }: Performance): Html | null {
  if (realised === null) return null;
  const lines = linesOf(realised, baseline);
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Realised performance">
    <table><caption>Realised on labelled rows, with 95 % intervals (rates: Wilson; differences: Newcombe; AUC: Hanley and McNeil)</caption>
    <thead><tr><th scope="col">measure</th><th scope="col">current</th><th scope="col">baseline</th><th scope="col">change</th><th scope="col">what it says</th></tr></thead>
    <tbody>${lines.map(
      (line) =>
        html`<tr><th scope="row">${line.name}</th><td>${line.now}</td><td>${line.before}</td><td>${line.change}</td><td class="dim">${line.meaning}</td></tr>`,
    )}</tbody></table></div>`;
}

function linesOf(now: Realised, baseline: Realised | null): readonly Line[] {
  switch (now.kind) {
    case 'binary': {
      const before = baseline?.kind === 'binary' ? baseline : null;
      return [
        rate('accuracy', now.accuracy, before?.accuracy, 'right of all'),
        rate('precision', now.precision, before?.precision, 'right of those predicted positive'),
        rate('recall', now.recall, before?.recall, 'found of those that are positive'),
        rate(
          'false positive rate',
          now.falsePositiveRate,
          before?.falsePositiveRate,
          'wrongly positive of those that are negative',
        ),
        plain('F1', now.f1, before?.f1, 'harmonic mean of precision and recall'),
        auc(now.auc, before?.auc),
        plain(
          'calibration error',
          now.calibrationError,
          before?.calibrationError,
          'mean gap of score and share of positives',
        ),
      ];
    }
    case 'multiclass': {
      const before = baseline?.kind === 'multiclass' ? baseline : null;
      return [
        rate('accuracy', now.accuracy, before?.accuracy, 'right of all'),
        plain('macro F1', now.macroF1, before?.macroF1, 'mean F1 of the classes'),
      ];
    }
    case 'regression': {
      const before = baseline?.kind === 'regression' ? baseline : null;
      const within = (side: typeof now.bias) =>
        html`${figure(side.value)} <small>${between(side, figure)}</small>`;
      return [
        {
          name: 'bias',
          now: within(now.bias),
          before: before === null ? html`–` : within(before.bias),
          change: '',
          meaning: 'mean of prediction − label',
        },
        {
          name: 'mean absolute error',
          now: within(now.meanAbsoluteError),
          before: before === null ? html`–` : within(before.meanAbsoluteError),
          change: '',
          meaning: 'mean of |prediction − label|',
        },
        plain(
          'root mean squared error',
          now.rootMeanSquaredError,
          before?.rootMeanSquaredError,
          '',
        ),
        plain('R²', now.rSquared, before?.rSquared, 'share of the variance that is explained'),
      ];
    }
  }
}

function rate(name: string, now: Estimate, before: Estimate | undefined, meaning: string): Line {
  const change = before === undefined ? null : changeOf(now, before);
  return {
    name,
    now: estimate(now),
    before: estimate(before),
    change:
      change === null ? '–' : `${points(change.difference)} (${between(change.interval, points)})`,
    meaning,
  };
}

function estimate(one: Estimate | undefined): Html {
  if (one === undefined || one.trials === 0) return html`–`;
  return html`${percent(one.value)} <small>${between(one, percent)}</small>`;
}

function auc(now: Area | null, before: Area | null | undefined): Line {
  const shown = (one: Area | null | undefined) =>
    one == null ? html`–` : html`${figure(one.value)} <small>${between(one, figure)}</small>`;
  const change = now === null || before == null ? '–' : figure(now.value - before.value);
  return {
    name: 'AUC',
    now: shown(now),
    before: shown(before),
    change,
    meaning: 'chance that a positive scores above a negative',
  };
}
type Area = Interval & { readonly value: number };

function plain(
  name: string,
  now: number | null,
  before: number | null | undefined,
  meaning: string,
): Line {
  const change = now === null || before == null ? '–' : figure(now - before);
  return { name, now: html`${figure(now)}`, before: html`${figure(before)}`, change, meaning };
}

function changeOf(now: Estimate, before: Estimate): Change | null {
  if (now.trials === 0 || before.trials === 0) return null;
  const interval = newcombe(trialsOf(now), trialsOf(before));
  return { difference: now.value - before.value, interval };
}

function trialsOf({ value, trials }: Estimate): Trials {
  return { hits: Math.min(trials, Math.round(value * trials)), trials };
}
