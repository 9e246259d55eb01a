import { describe, expect, it } from 'vitest';
import { addScores, type Contestant, meanDelay, scoreOf } from '../../../support/detector-score.ts';

/** `research/monitoring.md` (iii) H.5, small. All families, abrupt and gradual, all detectors: `bench/evaluate/streams.ts`. */
const score = (contestant: Contestant) =>
  addScores(
    (['sine', 'mixed', 'stagger'] as const).flatMap((family) =>
      [1, 2].map((seed) => scoreOf(contestant, family, seed, false)),
    ),
  );

describe('H.5: on streams whose concept changes at once three times', () => {
  it('the e-detector finds each within 50 rows on average and cries none that is not', () => {
    const found = score('e-detector');
    expect(found).toMatchObject({ missed: 0, falseAlarms: 0, rows: 120_000 });
    expect(meanDelay(found)).toBeLessThanOrEqual(50);
  });

  it.each(['adwin', 'ddm', 'page-hinkley'] as const)('%s finds most', (kind) => {
    const found = score(kind);
    expect(found.missed).toBeLessThanOrEqual(4);
    expect((1e4 * found.falseAlarms) / found.rows).toBeLessThanOrEqual(1);
  });

  it('who always fires is always right and never believed, who never fires the reverse', () => {
    expect(score('always')).toMatchObject({ missed: 0, falseAlarms: 120_000 - 18 });
    expect(score('never')).toMatchObject({ missed: 18, falseAlarms: 0 });
  });
});
