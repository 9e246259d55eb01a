import { describe, expect, test } from 'vitest';
import { renderReport } from '../../../control-plane/report/render.ts';
import type { ReportData } from '../../../control-plane/report/report-data.ts';
import {
  bars,
  fairness,
  feature,
  operations,
  performance,
  reportData,
} from '../../support/report-data.ts';

/** What a reader sees of it, roughly. */
const textOf = (change: Partial<ReportData>) =>
  renderReport(reportData(change))
    .replace(/<style>.*<\/style>/s, '')
    .replaceAll(/<[^>]+>/g, '')
    .replaceAll(/\s+/g, ' ');

const HOSTILE = `<script>alert(1)</script>"'&\u0000`;

describe('what is given by users', () => {
  test('is escaped wherever it stands', () => {
    const [sex] = fairness;
    const page = renderReport(
      reportData({
        title: HOSTILE,
        subtitle: HOSTILE,
        sides: {
          reference: { name: HOSTILE, rows: 1 },
          current: { name: HOSTILE, rows: 1 },
        },
        features: [
          feature(HOSTILE, { reason: HOSTILE }),
          feature(HOSTILE, { kind: 'categorical', plot: bars([HOSTILE]) }),
        ],
        prediction: feature(HOSTILE),
        fairness: [{ ...sex, attribute: HOSTILE, groups: [{ ...sex.groups[0], group: HOSTILE }] }],
        operations: {
          ...operations,
          evaluators: [{ ...operations.evaluators[0], name: HOSTILE }],
        },
        notes: [HOSTILE],
      }),
    );
    expect(page).not.toMatch(/<script/i);
    expect(page).not.toContain('\0');
    expect(page.split('&lt;script&gt;').length).toBeGreaterThan(12);
  });

  test('the page may run, load and send nothing', () => {
    const page = renderReport(reportData());
    const [, policy] = /Content-Security-Policy" content="([^"]+)"/.exec(page) ?? [];
    expect(policy).toMatch(/^default-src &#39;none&#39;; style-src &#39;sha256-[\w+/]+=*&#39;;/);
    expect(page).not.toMatch(/https?:|url\(|@import|<link|<img|<iframe| style=| on\w+=/);
  });
});

describe('no feature is dropped', () => {
  const names = ['a_ok', 'b_few', 'c_alert', 'd_watch', 'e_uncompared'];
  const features = [
    feature('a_ok', { verdict: 'ok', debiasedPsi: 0.01, wasserstein: 0.01, adjustedP: 0.4 }),
    feature('b_few', { verdict: 'insufficient', rows: { reference: 1500, current: 37 } }),
    feature('c_alert'),
    feature('d_watch', { verdict: 'watch', debiasedPsi: 0.06, wasserstein: 0.05 }),
    feature('e_uncompared', { verdict: 'insufficient', reason: 'not in the reference' }),
  ];
  const page = renderReport(reportData({ features }));

  test('the loudest stands first, what can’t be told before what is fine', () => {
    const order = names
      .map((name) => [page.indexOf(`class="name"><bdi>${name}`), name] as const)
      .sort(([a], [b]) => a - b);
    expect(order[0][0]).toBeGreaterThan(0);
    expect(order.map(([, name]) => name)).toEqual([
      'c_alert',
      'd_watch',
      'b_few',
      'e_uncompared',
      'a_ok',
    ]);
  });

  test('what is lacking is said', () => {
    expect(page).toContain('163 current rows more');
    expect(page).toContain('Not compared: not in the reference.');
  });

  test('verdicts come with effect, interval and certainty', () => {
    const text = textOf({ features });
    expect(text).toContain('2 of 5 features moved: c_alert (PSI 0.310, 95 % 0.260 to 0.380)');
    expect(text).toContain('Drifted: surely (p = 1e−200 over all features)');
    expect(text).toContain('no more than chance explains (p = 0.4 over all features');
    expect(text).toContain('&lt; 1e−300');
    expect(text).toContain('2 have too little data');
  });

  test('categories beyond twenty are added up', () => {
    const labels = Array.from({ length: 64 }, (_, k) => `value-${k}`);
    const text = textOf({ features: [feature('city', { plot: bars(labels) })] });
    expect(text).toContain('(45 more values)');
    expect(text).toContain('70.3 %');
  });
});

describe('sections', () => {
  test('all of them answer at the top', () => {
    const text = textOf({ fairness, performance, operations });
    expect(text).toContain('Something is wrong: drift, data quality, performance, fairness');
    expect(text).toContain(
      'selection rate of sex=F is −30.0 pp from sex=M (95 % −33.0 pp to −27.0 pp)',
    );
    expect(text).toContain('−10.0 pp against the baseline');
    expect(text).toContain('between 61.3 % and 87.1 % (Manski bounds');
    expect(text).toContain('accuracy 83.0 % ± 1.1 pp');
    expect(text).toContain('about 431');
    expect(text).toContain('out of range 20.0 %');
    expect(text).toContain('toxicity');
  });

  test('an estimate that proved wrong is withheld and says so', () => {
    const estimated = {
      estimate: null,
      trust: 0.2,
      calibratedOn: 'baseline' as const,
      unseen: null,
    };
    const text = textOf({ performance: { ...performance, estimated } });
    expect(text).toContain('is withheld');
  });

  test('what was not measured is named and has no section', () => {
    const data = reportData();
    expect(renderReport(data)).not.toContain('id="fairness"');
    expect(textOf({})).toContain('Not measured or not judged: performance, fairness.');
  });

  test('an empty period and a version without a baseline have an answer', () => {
    const empty = feature('x', {
      verdict: 'insufficient',
      rows: { reference: 1500, current: 0 },
      points: [],
    });
    const text = textOf({ verdict: 'insufficient', features: [empty] });
    expect(text).toContain('Can’t be told yet: drift');
    expect(text).toContain('there are 0 current and 1500 reference rows');
    expect(textOf({ features: [] })).toContain('Nothing was measured');
  });
});

test('500 features of 200 points, half of them with 64 values, stay below 5 MB', () => {
  const labels = Array.from({ length: 64 }, (_, k) => `a value of usual length ${k}`);
  const features = Array.from({ length: 500 }, (_, at) =>
    feature(
      `feature_number_${at}`,
      at % 2 === 0 ? {} : { kind: 'categorical', plot: bars(labels) },
      200,
    ),
  );
  const page = renderReport(reportData({ features, fairness, performance, operations }));
  expect(Buffer.byteLength(page)).toBeLessThan(5_000_000);
  expect(page.split('<details class="feature"').length).toBe(501);
});
