import type { Answer } from './answer.ts';
import { driftAnswer } from './drift-answer.ts';
import { fairnessAnswer } from './fairness-section.ts';
import { count, moment, span } from './figures.ts';
import { type Html, html, named } from './html.ts';
import { operationsAnswer } from './operations-section.ts';
import { performanceAnswer } from './performance-section.ts';
import { qualityAnswer } from './quality-section.ts';
import type { ReportData } from './report-data.ts';
import { chip, type Status, worst } from './status.ts';

/** Is anything wrong, what, how sure, and on how much data: before anything else. */
export function summary(data: ReportData): Html {
  const answers = [
    driftAnswer(data),
    qualityAnswer(data),
    performanceAnswer(data),
    fairnessAnswer(data),
    operationsAnswer(data),
  ].filter((answer) => answer !== null);
  return html`<header>
      <h1>${named(data.title)}</h1>
      <p class="dim">${named(data.subtitle)}</p>
      ${facts(data)}
    </header>
    <main>
      ${banner(answers)}
      <ul class="tiles">${answers.map(tile)}</ul>
    </main>`;
}

function banner(answers: readonly Answer[]): Html {
  const status = worst(answers.map((answer) => answer.status));
  const at = (wanted: Status) =>
    answers.filter((answer) => answer.status === wanted).map(({ title }) => title.toLowerCase());
  const loud = [...at('alert'), ...at('watch')];
  const unsure = at('insufficient');
  const unmeasured = at('none');
  const lead: Readonly<Record<Status, string>> = {
    alert: `Something is wrong: ${loud.join(', ')}`,
    watch: `Worth watching: ${loud.join(', ')}`,
    ok: 'Nothing is wrong in what was measured',
    insufficient: `Can’t be told yet: ${unsure.join(', ')}`,
    none: 'Nothing was measured',
  };
  const parts = [
    at('ok').length > 0 ? `Fine: ${at('ok').join(', ')}.` : null,
    unsure.length > 0 && status !== 'insufficient'
      ? `Insufficient data: ${unsure.join(', ')}.`
      : null,
    unmeasured.length > 0 ? `Not measured or not judged: ${unmeasured.join(', ')}.` : null,
  ].filter((part) => part !== null);
  return html`<div class="verdict ${status}"><strong>${lead[status]}</strong><p>${parts.join(' ')}</p></div>`;
}

function tile({ title, anchor, status, sentence }: Answer): Html {
  return html`<li class="tile"><b><a href="#${anchor}">${title}</a>${chip(status)}</b><p>${sentence}</p></li>`;
}

function facts({ sides, period, madeAtMs }: ReportData): Html {
  const when =
    period === null
      ? null
      : html`<div><dt>period</dt><dd>${moment(period.fromMs)} to ${moment(period.toMs)} (${span(period.toMs - period.fromMs)})</dd></div>`;
  return html`<dl class="facts">
    <div><dt>reference</dt><dd>${named(sides.reference.name)}, ${count(sides.reference.rows)} rows</dd></div>
    <div><dt>current</dt><dd>${named(sides.current.name)}, ${count(sides.current.rows)} rows</dd></div>
    ${when}
    <div><dt>made</dt><dd>${moment(madeAtMs)}</dd></div>
  </dl>`;
}
