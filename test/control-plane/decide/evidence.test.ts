import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  addToSeries,
  informationShare,
  NEW_SERIES,
} from '../../../control-plane/decide/autocorrelation.ts';
import { rankTest } from '../../../control-plane/decide/rank-test.ts';
import { HOUR_MS, seasonalHours, WEEK_MS } from '../../../control-plane/decide/seasonal.ts';
import { NEW_STREAM, stepStream } from '../../../control-plane/decide/stream-state.ts';
import { seeded } from '../../support/synthetic-windows.ts';

interface Golden {
  readonly cases: readonly {
    readonly reference: readonly number[];
    readonly current: readonly number[];
    readonly pValue: number;
    readonly above: boolean;
  }[];
}
const GOLDEN: Golden = JSON.parse(
  readFileSync(new URL('./rank-test.reference.json', import.meta.url), 'utf8'),
);

describe('the rank test', () => {
  it.each(GOLDEN.cases)('agrees with SciPy on %o', ({ reference, current, pValue, above }) => {
    const { z, logP } = rankTest(Float64Array.from(reference), Float64Array.from(current));
    expect(Math.exp(logP)).toBeCloseTo(pValue, 10);
    expect(z > 0).toBe(above);
  });

  it('has no evidence without rows, or when all rows are alike', () => {
    const one = Float64Array.of(5, 0);
    expect(rankTest(one, Float64Array.of(0, 0)).logP).toBe(0);
    expect(rankTest(one, Float64Array.of(9, 0)).logP).toBe(0);
  });
});

describe('windows that resemble their neighbours', () => {
  const shareOf = (next: (before: number, random: number) => number) => {
    const random = seeded(5);
    let series = NEW_SERIES;
    let x = 0;
    for (let at = 0; at < 2_000; at += 1) {
      x = next(x, random() - 0.5);
      series = addToSeries(series, x);
    }
    return informationShare(series);
  };

  it('are worth (1 − ρ) / (1 + ρ) of their rows', () => {
    expect(shareOf((_, noise) => noise)).toBe(1);
    expect(shareOf((before, noise) => 0.5 * before + noise)).toBeCloseTo(0.5 / 1.5, 1);
    expect(shareOf((before, noise) => 0.99 * before + noise)).toBe(0.1);
    expect(shareOf((before, noise) => -0.5 * before + noise)).toBe(1);
  });

  it('are not suspected before there are twenty', () => {
    let series = NEW_SERIES;
    for (let at = 0; at < 19; at += 1) series = addToSeries(series, at);
    expect(informationShare(series)).toBe(1);
    expect(informationShare(addToSeries(series, 19))).toBeLessThan(1);
  });
});

describe('a season', () => {
  const block = (startMs: number) => ({ startMs, endMs: startMs + 300_000 });
  const first = 1000 * WEEK_MS;
  const at = first + 5 * HOUR_MS;

  it('is the same hour of the first four weeks, two of which must have passed', () => {
    expect(seasonalHours(first, block(at))).toEqual([]);
    expect(seasonalHours(first, block(at + WEEK_MS))).toEqual([at]);
    expect(seasonalHours(first, block(at + 2 * WEEK_MS))).toEqual([at, at + WEEK_MS]);
    const four = [0, 1, 2, 3].map((week) => at + week * WEEK_MS);
    expect(seasonalHours(first, block(at + 50 * WEEK_MS + 1_800_000))).toEqual(four);
  });

  it('never holds what is to be judged, and has no place for a block of many hours', () => {
    for (const weeks of [1, 2, 3, 4, 9]) {
      const now = block(at + weeks * WEEK_MS);
      for (const hour of seasonalHours(first, now)) {
        expect(hour + HOUR_MS).toBeLessThanOrEqual(now.startMs);
      }
    }
    const startMs = at + 9 * WEEK_MS;
    expect(seasonalHours(first, { startMs, endMs: startMs + 2 * HOUR_MS })).toHaveLength(4);
    expect(seasonalHours(first, { startMs, endMs: startMs + 2 * HOUR_MS + 1 })).toEqual([]);
  });
});

describe('a stream', () => {
  const context = { logLevel: Math.log(1000), atMs: 10, mayAlert: true, coolDownMs: 100 };
  const seen = (logE: number, effect: number) =>
    ({ kind: 'evidence', logE: [logE], effect }) as const;

  it('needs evidence and effect both', () => {
    expect(stepStream(NEW_STREAM, seen(20, 0.9), context).kind).toBe('watch');
    expect(stepStream(NEW_STREAM, seen(1, 5), context).kind).toBe('ok');
    expect(stepStream(NEW_STREAM, seen(20, 1), context).kind).toBe('alert');
  });

  it('has the severity of its worst step, and forgets its evidence while it cools', () => {
    const open = stepStream(NEW_STREAM, seen(20, 1), context);
    expect(open).toMatchObject({ severity: 'low' });
    const worst = stepStream(open, seen(20, 3), context);
    const still = stepStream(worst, seen(20, 1), context);
    expect(still).toMatchObject({ kind: 'alert', severity: 'critical', calm: 0 });
    let calm = still;
    for (let step = 0; step < 3; step += 1) calm = stepStream(calm, seen(20, 0.4), context);
    expect(calm).toEqual({ kind: 'cooling', untilMs: 110 });
    expect(stepStream(calm, seen(90, 9), { ...context, atMs: 109 })).toBe(calm);
    const after = stepStream(calm, seen(1, 9), { ...context, atMs: 110 });
    expect(after).toEqual({ kind: 'ok', logM: [1] });
  });

  it('of a verdict alerts on it, and clears after three without it', () => {
    const verdict = (alarm: boolean) => ({ kind: 'verdict', alarm, effect: 1.2 }) as const;
    const open = stepStream(NEW_STREAM, verdict(true), context);
    expect(open.kind).toBe('alert');
    expect(stepStream(NEW_STREAM, verdict(false), context)).toEqual({ kind: 'ok', logM: [] });
    let state = open;
    for (let step = 0; step < 3; step += 1) state = stepStream(state, verdict(false), context);
    expect(state.kind).toBe('cooling');
  });
});
