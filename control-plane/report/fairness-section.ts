import type { AttributeFairness, Estimate, Gap, GroupRates } from '../reading/fairness-view.ts';
import { DEFAULT_LIMITS, MIN_COMPLETENESS, MIN_GROUP_ROWS } from '../reading/fairness-view.ts';
import type { Answer } from './answer.ts';
import { between, count, figure, many, percent, points } from './figures.ts';
import { type Html, html, named } from './html.ts';
import { intervalChart } from './interval-chart.ts';
import type { ReportData } from './report-data.ts';
import { chip, gapChip, statusOfGap, worst } from './status.ts';

const RATE_NAMES: Readonly<Record<Gap['rate'], string>> = {
  selectionRate: 'selection rate',
  truePositiveRate: 'true positive rate',
  falsePositiveRate: 'false positive rate',
};
const LIMIT = DEFAULT_LIMITS.differenceLimit;

export function fairnessAnswer({ fairness }: ReportData): Answer {
  const base = { title: 'Fairness', anchor: 'fairness' };
  if (fairness === null || fairness.length === 0) {
    return {
      ...base,
      status: 'none',
      sentence: html`No group was seen: the version names none, or requests carried none.`,
    };
  }
  const status = worst(fairness.map(({ verdict }) => statusOfGap(verdict)));
  const told = fairness.map((one, at) => html`${at === 0 ? '' : ' '}${sentenceOf(one)}`);
  return { ...base, status, sentence: html`${told.slice(0, 3)}` };
}

/** The gap that decides: the widest that is over the limit, or else the widest. */
function sentenceOf({ attribute, gaps, groups, verdict }: AttributeFairness): Html {
  const wide = (list: readonly Gap[]) =>
    [...list].sort((a, b) => Math.abs(b.difference) - Math.abs(a.difference))[0];
  const gap = wide(gaps.filter((one) => one.verdict === verdict)) ?? wide(gaps);
  if (gap === undefined) {
    const small = groups.filter((one) => one.small).length;
    return html`${named(attribute)}: can’t be told, ${small} of ${many(groups.length, 'group')} with fewer than ${MIN_GROUP_ROWS} rows.`;
  }
  const needed = Math.max(0, ...gaps.map(({ rowsNeeded }) => rowsNeeded ?? 0));
  const more =
    verdict === 'insufficient' && needed > 0 ? ` About ${count(needed)} more rows are needed.` : '';
  const verb = {
    violates: 'over the limit',
    complies: 'within the limit',
    insufficient: 'can’t be told yet',
  }[verdict];
  return html`${named(attribute)}: ${verb}; ${RATE_NAMES[gap.rate]} of ${named(gap.group)} is ${points(gap.difference)} from ${named(gap.against)} (95 % ${between(gap.interval, points)}).${more}`;
}

export function fairnessSection({ fairness }: ReportData): Html | null {
  if (fairness === null || fairness.length === 0) return null;
  return html`<section id="fairness">
    <h2>Fairness</h2>
    <p class="dim">Groups are compared with the largest one. A gap is over the limit (within it) only where its always-valid
 interval, which holds however often one looks, lies beyond (inside) ±${LIMIT * 100} percentage points; otherwise the data do
 not tell. Groups below ${MIN_GROUP_ROWS} rows are shown and not compared. Rates that need labels are
 compared where ${percent(MIN_COMPLETENESS)} of both groups are labelled.</p>
    ${fairness.map(attributePart)}
  </section>`;
}

function attributePart(one: AttributeFairness): Html {
  return html`<h3>${named(one.attribute)} ${gapChip(one.verdict)}</h3>
    <p>${sentenceOf(one)} Four-fifths rule (ratio of selection rates from ${DEFAULT_LIMITS.ratioLimit}): ${gapChip(one.ratioVerdict)}</p>
    ${groupTable(one)}${gapTable(one)}${metrics(one)}`;
}

function groupTable({ groups, reference }: AttributeFairness): Html {
  const marks = groups
    .filter(({ group }) => group === reference)
    .map(({ selectionRate }) => selectionRate.value);
  const high = Math.min(
    1,
    Math.max(0.05, ...groups.map(({ selectionRate }) => selectionRate.high)) * 1.05,
  );
  const row = (group: GroupRates) => html`<tr>
    <th scope="row">${named(group.group)} ${group.group === reference ? html`<small>reference group</small>` : null}${group.small ? chip('insufficient', `below ${MIN_GROUP_ROWS} rows`) : null}</th>
    <td class="n">${count(group.rows)}</td><td class="n">${percent(group.completeness)}</td>
    <td>${estimate(group.selectionRate)}</td>
    <td class="plot">${intervalChart(group.selectionRate.value, group.selectionRate, `selection rate ${percent(group.selectionRate.value)}, ${between(group.selectionRate, percent)}`, { low: 0, high, marks })}</td>
    <td>${estimate(group.truePositiveRate)}</td><td>${estimate(group.falsePositiveRate)}</td>
    <td>${estimate(group.positivePredictiveValue)}</td><td class="n">${group.calibrationGap === null ? '–' : points(group.calibrationGap)}</td></tr>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Rates of each group">
    <table><caption>Rates of each group with 95 % Wilson intervals; the picture goes from 0 to ${percent(high)}, dashed is the reference group</caption>
    <thead><tr><th scope="col">group</th><th scope="col" class="n">rows</th><th scope="col" class="n">labelled</th><th scope="col">selection rate</th><th scope="col"></th>
    <th scope="col">true positive</th><th scope="col">false positive</th><th scope="col">precision</th><th scope="col" class="n">label − score</th></tr></thead>
    <tbody>${groups.map(row)}</tbody></table></div>`;
}

function estimate(rate: Estimate | null): Html {
  if (rate === null) return html`–`;
  return html`${percent(rate.value)} <small>${between(rate, percent)}</small>`;
}

function gapTable({ gaps, groups }: AttributeFairness): Html | null {
  if (gaps.length === 0) return null;
  const ends = gaps.flatMap(({ interval, sequence }) => [
    interval,
    ...(sequence === null ? [] : [sequence]),
  ]);
  const reach = Math.min(
    1,
    Math.max(0.2, ...ends.flatMap(({ low, high }) => [Math.abs(low), Math.abs(high)])),
  );
  const axis = { low: -reach, high: reach, marks: [-LIMIT, 0, LIMIT] };
  const row = (
    gap: Gap,
  ) => html`<tr><th scope="row">${RATE_NAMES[gap.rate]}: ${named(gap.group)} − ${named(gap.against)}</th>
    <td>${gapChip(gap.verdict)}</td><td class="n">${points(gap.difference)}</td>
    <td class="plot">${intervalChart(gap.difference, gap.sequence ?? gap.interval, `gap ${points(gap.difference)}`, axis)}</td>
    <td class="s">${between(gap.interval, points)}</td>
    <td class="s">${gap.sequence === null ? whyNone(gap, groups) : between(gap.sequence, points)}</td>
    <td class="n">${gap.rowsNeeded === null || gap.rowsNeeded === 0 ? '' : `about ${count(gap.rowsNeeded)}`}</td></tr>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Gaps between groups">
    <table><caption>Gaps; the picture goes from ${points(-reach)} to ${points(reach)}, dashed are 0 and the limits of ±${LIMIT * 100} pp; it shows the always-valid interval where there is one</caption>
    <thead><tr><th scope="col">gap</th><th scope="col"></th><th scope="col" class="n">difference</th><th scope="col"></th><th scope="col">95 %, one look</th>
    <th scope="col">95 %, always valid</th><th scope="col" class="n">rows needed</th></tr></thead>
    <tbody>${gaps.map(row)}</tbody></table></div>`;
}

/** What an always-valid interval is waiting for. */
function whyNone(gap: Gap, groups: readonly GroupRates[]): string {
  const labelled = groups
    .filter(({ group }) => group === gap.group || group === gap.against)
    .map(({ completeness }) => completeness);
  const unlabelled = gap.rate !== 'selectionRate' && Math.min(...labelled) < MIN_COMPLETENESS;
  return unlabelled
    ? `fewer than ${percent(MIN_COMPLETENESS)} labelled`
    : 'too few events: 10 of each kind in both groups';
}

function metrics({ metrics: found }: AttributeFairness): Html | null {
  if (found === null) return null;
  const facts: readonly (readonly [string, number | null])[] = [
    ['demographic parity difference', found.demographicParityDifference],
    ['demographic parity ratio', found.demographicParityRatio],
    ['equal opportunity difference', found.equalOpportunityDifference],
    ['equalized odds difference', found.equalizedOddsDifference],
    ['average odds difference', found.averageOddsDifference],
  ];
  return html`<dl class="facts">${facts.map(([name, value]) => html`<div><dt>${name}</dt><dd>${figure(value)}</dd></div>`)}</dl>
    <p class="dim"><small>Fairlearn’s definitions, over groups of ${MIN_GROUP_ROWS} rows and more. Point estimates: decide by the intervals above.</small></p>`;
}
