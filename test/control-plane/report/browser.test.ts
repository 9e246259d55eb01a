import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { evidencePage } from '../../../control-plane/http/evidence-page.ts';
import { renderReport } from '../../../control-plane/report/render.ts';
import { hasChromium, launchChromium } from '../../support/browser.ts';
import {
  bars,
  fairness,
  feature,
  operations,
  performance,
  reportData,
} from '../../support/report-data.ts';

const HOSTILE = '<script>document.title = "run"</script><img src=x onerror="document.title=1">';
const long = 'a_name_without_any_place_to_break_it_'.repeat(6);

const report = renderReport(
  reportData({
    features: [
      feature(long),
      feature(HOSTILE, { kind: 'categorical', plot: bars([HOSTILE, long]) }),
    ],
    prediction: feature('prediction'),
    ...{ fairness, performance, operations, notes: [HOSTILE] },
  }),
);

const evidence = evidencePage({
  id: 7,
  deployment: 'loans',
  manifest: `sha256:${'0'.repeat(64)}`,
  kind: 'input-drift',
  detail: {
    ...{ version: 1, severity: 'critical', startMs: 1_800_000_000_000, rows: 404 },
    streams: [
      {
        stream: `feature:${HOSTILE}`,
        severity: 'critical',
        logP: -900,
        rows: { reference: 1, current: 2 },
      },
    ],
  },
  openedAt: 1_800_000_000_000,
  ...{ resolvedAt: null, acknowledgedAt: null, acknowledgedBy: null },
  ...{ silencedUntil: null, silenceReason: null },
});

describe.skipIf(!hasChromium)('pages in a real browser (skipped without chromium)', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launchChromium();
  }, 30_000);
  afterAll(() => browser?.close());

  test.each([
    { name: 'report', content: report, width: 360, colorScheme: 'light' },
    { name: 'report', content: report, width: 1400, colorScheme: 'dark' },
    { name: 'evidence', content: evidence, width: 360, colorScheme: 'dark' },
  ] as const)(
    '$name: whole, silent, no wider than $width, $colorScheme',
    async (one) => {
      const { content, width, colorScheme } = one;
      const page = await browser.newPage({ viewport: { width, height: 800 }, colorScheme });
      const complaints: string[] = [];
      const requests: string[] = [];
      page.on('console', (message) => complaints.push(message.text()));
      page.on('request', (request) => requests.push(request.url()));
      await page.setContent(content);
      const seen = await page.evaluate(() => ({
        title: document.title,
        mode: document.compatMode,
        scripts: document.scripts.length + document.images.length,
        wide: document.documentElement.scrollWidth,
        background: getComputedStyle(document.body).backgroundColor,
        untitled: document.querySelectorAll('svg[role=img]:not(:has(> title))').length,
        pictures: document.querySelectorAll('svg[role=img]').length,
        dead: [...document.querySelectorAll('a[href^="#"]')].filter(
          (link) => document.querySelector(link.getAttribute('href') ?? '') === null,
        ).length,
      }));
      expect(seen).toMatchObject({ mode: 'CSS1Compat', scripts: 0, untitled: 0, dead: 0 });
      expect(seen.title).not.toBe('run');
      expect(seen.wide).toBeLessThanOrEqual(width);
      expect(seen.background).toBe(
        colorScheme === 'dark' ? 'rgb(20, 23, 27)' : 'rgb(255, 255, 255)',
      );
      expect([complaints, requests]).toEqual([[], []]);
      await page.close();
    },
    20_000,
  );

  test('what a serializer makes of the parsed document is what was written: nothing was mended', async () => {
    const page = await browser.newPage();
    await page.setContent(report);
    const counts = await page.evaluate(() =>
      ['details', 'table', 'tr', 'td', 'section', 'svg', 'path', 'title'].map((name) => [
        name,
        document.querySelectorAll(name).length,
      ]),
    );
    for (const [name, count] of counts) {
      expect(report.split(new RegExp(`<${name}[ >]`)).length - 1, String(name)).toBe(count);
    }
    await page.close();
  }, 20_000);
});
