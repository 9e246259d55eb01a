import { readFileSync } from 'node:fs';
import { fairnessViews } from '../../control-plane/reading/fairness-view.ts';
import type { GroupCounts } from '../../control-plane/reading/group-counts.ts';
import { fairnessMetrics } from '../../protocol/statistics/fairness-metrics.ts';
import { newcombe } from '../../protocol/statistics/trials.ts';
import { check, readRows } from './shared-data.ts';

/** H.4: are COMPAS's fairness numbers those that others publish, to 4 decimals? */

interface Golden {
  readonly groups: Record<string, { n: number; sr: number; tpr: number; fpr: number; ppv: number }>;
  readonly all: Bundle;
  readonly large: Bundle;
  readonly sex: { dpd: number; dpr: number; eod: number };
  readonly fprGap: readonly number[];
  readonly tprGap: readonly number[];
}

interface Bundle {
  readonly dpd: number;
  readonly dpr: number;
  readonly eopp: number;
  readonly eod: number;
}

type Row = Readonly<Record<string, string>>;

const HALF = 0.5e-4 + 1e-12;

/** ProPublica's filter: charged within 30 days of screening, a known outcome, no ordinary traffic offence. */
function isKept(row: Row): boolean {
  const days = row.days_b_screening_arrest;
  return (
    days !== '' &&
    Math.abs(Number(days)) <= 30 &&
    row.is_recid !== '-1' &&
    row.c_charge_degree !== 'O' &&
    row.score_text !== 'N/A'
  );
}

function countBy(rows: readonly Row[], attribute: string): GroupCounts[] {
  const values = [...new Set(rows.map((row) => row[attribute]))].sort();
  return values.map((value) => {
    const own = rows.filter((row) => row[attribute] === value);
    const count = (selected: boolean, truth: string) =>
      own.filter(
        (row) => Number(row.decile_score) >= 5 === selected && row.two_year_recid === truth,
      ).length;
    const [tp, fp, fn, tn] = [
      count(true, '1'),
      count(true, '0'),
      count(false, '1'),
      count(false, '0'),
    ];
    const group = `${attribute}=${value}`;
    const rest = { scoreSum: 0, residualSum: 0 };
    return { group, attribute, rows: own.length, positive: tp + fp, tp, fp, fn, tn, ...rest };
  });
}

function compare(what: string, found: number | null | undefined, wanted: number): void {
  const near = found != null && Math.abs(found - wanted) <= HALF;
  check(what, near, `${found?.toFixed(4)}, published ${wanted.toFixed(4)}`);
}

function compareBundle(what: string, groups: readonly GroupCounts[], wanted: Bundle): void {
  const found = fairnessMetrics(groups);
  compare(`${what} DPD`, found.demographicParityDifference, wanted.dpd);
  compare(`${what} DPR`, found.demographicParityRatio, wanted.dpr);
  compare(`${what} equal opportunity`, found.equalOpportunityDifference, wanted.eopp);
  compare(`${what} equalized odds`, found.equalizedOddsDifference, wanted.eod);
}

const raw = readRows('compas-scores-two-years.csv');
if (raw !== null) {
  const golden = JSON.parse(readFileSync('bench/evaluate/compas.golden.json', 'utf8')) as Golden;
  const rows = raw.filter(isKept);
  check('rows after the filter', rows.length === 6172, String(rows.length));
  const races = countBy(rows, 'race');
  const sexes = countBy(rows, 'sex');
  const views = fairnessViews([...races, ...sexes]);
  const byName = new Map(views.flatMap(({ groups }) => groups).map((one) => [one.group, one]));
  for (const [race, wanted] of Object.entries(golden.groups)) {
    const found = byName.get(`race=${race}`);
    check(`${race} rows`, found?.rows === wanted.n, String(found?.rows));
    compare(`${race} SR`, found?.selectionRate.value, wanted.sr);
    compare(`${race} TPR`, found?.truePositiveRate?.value, wanted.tpr);
    compare(`${race} FPR`, found?.falsePositiveRate?.value, wanted.fpr);
    compare(`${race} PPV`, found?.positivePredictiveValue?.value, wanted.ppv);
  }
  compareBundle('all races', races, golden.all);
  compareBundle(
    'races of 100 rows',
    races.filter((one) => one.rows >= 100),
    golden.large,
  );
  const sex = fairnessMetrics(sexes);
  compare('sex DPD', sex.demographicParityDifference, golden.sex.dpd);
  compare('sex DPR', sex.demographicParityRatio, golden.sex.dpr);
  compare('sex equalized odds', sex.equalizedOddsDifference, golden.sex.eod);
  const [aa, white] = ['African-American', 'Caucasian'].map((race) =>
    races.find((one) => one.group === `race=${race}`),
  );
  if (aa !== undefined && white !== undefined) {
    const negatives = (one: GroupCounts) => ({ hits: one.fp, trials: one.fp + one.tn });
    const positives = (one: GroupCounts) => ({ hits: one.tp, trials: one.tp + one.fn });
    const fpr = newcombe(negatives(aa), negatives(white));
    const tpr = newcombe(positives(aa), positives(white));
    compare('FPR gap low', fpr.low, golden.fprGap[1]);
    compare('FPR gap high', fpr.high, golden.fprGap[2]);
    compare('TPR gap low', tpr.low, golden.tprGap[1]);
    compare('TPR gap high', tpr.high, golden.tprGap[2]);
  }
  for (const { attribute, verdict, ratioVerdict } of views) {
    process.stdout.write(`${attribute}: difference ${verdict}, four fifths ${ratioVerdict}\n`);
  }
}
