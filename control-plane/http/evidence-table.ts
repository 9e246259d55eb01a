import { figure, moment, percent } from '../report/figures.ts';
import { type Html, html } from '../report/html.ts';

/** Names of stored figures, as people say them. What is not here is shown by its own name. */
const NAMES: Readonly<Record<string, string>> = {
  effect: 'effect, in units of what alerts',
  psi: 'PSI as computed',
  psiDebiased: 'PSI, chance taken off',
  ks: 'Kolmogorov–Smirnov',
  wasserstein: 'Wasserstein, in σ of the baseline',
  jensenShannon: 'Jensen–Shannon distance',
  lInfinity: 'largest change of one bin’s share',
  logP: 'p of the same distribution',
  missingRate: 'missing',
  unseenRate: 'unknown, or not a finite number',
  rate: 'rate seen',
  tolerated: 'rate tolerated',
  events: 'events',
  trials: 'of',
  sinceMs: 'since',
  lastAt: 'last at',
  rows: 'rows',
  hosts: 'hosts',
  said: 'said by the host',
};
const SHARES = new Set(['missingRate', 'unseenRate', 'rate', 'tolerated']);

/** Evidence of any shape as a table; pairs of reference and current in one cell, lists as lists. */
export function evidenceTable(entries: readonly (readonly [string, unknown])[]): Html {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Evidence"><table><tbody>${entries.map(
    ([name, value]) =>
      html`<tr><th scope="row">${NAMES[name] ?? name}</th><td>${cell(name, value)}</td></tr>`,
  )}</tbody></table></div>`;
}

function cell(name: string, value: unknown): Html {
  if (value === null || value === undefined) return html`–`;
  if (typeof value === 'number') return html`${number(name, value)}`;
  if (Array.isArray(value))
    return html`<ol>${value.map((one) => html`<li>${cell(name, one)}</li>`)}</ol>`;
  if (typeof value !== 'object') return html`<bdi>${String(value)}</bdi>`;
  const entries = Object.entries(value);
  if (entries.every(([, held]) => typeof held !== 'object')) {
    return html`${entries.map(([key, held], at) => html`${at === 0 ? '' : ', '}${NAMES[key] ?? key} ${cell(SHARES.has(name) ? name : key, held)}`)}`;
  }
  return evidenceTable(entries);
}

function number(name: string, value: number): string {
  if (/(Ms|At)$/.test(name) && value > 0) return moment(value);
  if (name === 'logP') return value < -690 ? '< 1e−300' : figure(Math.exp(value));
  return SHARES.has(name) ? percent(value) : figure(value);
}
