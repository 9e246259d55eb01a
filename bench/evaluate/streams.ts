import { type Family, families } from '../../test/support/concept-streams.ts';
import {
  addScores,
  type Contestant,
  meanDelay,
  type Score,
  scoreOf,
} from '../../test/support/detector-score.ts';
import { check } from './shared-data.ts';

/**
 * H.5: how soon is a concept drift found, and how often is one cried that is none? Four concepts of 5,000 rows of each
 * family, changing at once and gradually, with the published defaults, beside a dummy that always fires and one that
 * never does. On generated data: nothing has to be there.
 */
const SEEDS = process.argv.includes('--quick') ? 1 : 5;
const CONTESTANTS: readonly Contestant[] = [
  'e-detector',
  'adwin',
  'ddm',
  'eddm',
  'page-hinkley',
  'kswin',
  'always',
  'never',
];
/** What naive Bayes notices: in the others a new concept barely moves its errors. */
const DETECTABLE: readonly Family[] = ['sine', 'mixed', 'stagger'];

function score(contestant: Contestant, of: readonly Family[], gradual: boolean): Score {
  return addScores(
    of.flatMap((family) =>
      Array.from({ length: SEEDS }, (_, at) => scoreOf(contestant, family, at + 1, gradual)),
    ),
  );
}

function line(contestant: Contestant, what: string, found: Score): void {
  const drifts = found.delays.length + found.missed;
  const delay = meanDelay(found)?.toFixed(0) ?? '-';
  const missed = `${((100 * found.missed) / drifts).toFixed(0)} %`;
  const alarms = ((1e4 * found.falseAlarms) / found.rows).toFixed(2);
  const late = String(found.late);
  const cells = [delay.padStart(6), missed.padStart(7), late.padStart(5), alarms.padStart(10)];
  process.stdout.write(`${contestant.padEnd(13)} ${what.padEnd(18)} ${cells.join('')}\n`);
}

process.stdout.write(`${''.padEnd(33)} delay missed late false/10k\n`);
for (const contestant of CONTESTANTS) {
  for (const gradual of [false, true]) {
    for (const family of families) {
      line(
        contestant,
        `${family}${gradual ? ', gradual' : ''}`,
        score(contestant, [family], gradual),
      );
    }
    line(contestant, gradual ? 'all, gradual' : 'all', score(contestant, families, gradual));
  }
}

const abrupt = score('e-detector', DETECTABLE, false);
const delay = meanDelay(abrupt);
check(
  'e-detector, abrupt, detectable families: mean delay at most 50 rows, none missed',
  delay !== null && delay <= 50 && abrupt.missed === 0,
  `${delay?.toFixed(1)}, ${abrupt.missed} missed`,
);
const all = addScores([false, true].map((gradual) => score('e-detector', families, gradual)));
const rate = (1e4 * all.falseAlarms) / all.rows;
check('e-detector: at most 0.05 false alarms in 10,000 rows', rate <= 0.05, rate.toFixed(3));
