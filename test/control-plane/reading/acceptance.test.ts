import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, it } from 'vitest';
import { fairnessViews } from '../../../control-plane/reading/fairness-view.ts';
import { performanceView } from '../../../control-plane/reading/performance-view.ts';
import { emptyOutcome, type OutcomeSketch } from '../../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../../protocol/sketch/outcome-count.ts';
import { estimatePerformance } from '../../../protocol/statistics/cbpe.ts';
import { fairnessMetrics } from '../../../protocol/statistics/fairness-metrics.ts';
import { isotonicMap } from '../../../protocol/statistics/isotonic.ts';
import { scoreBins } from '../../../protocol/statistics/score-bins.ts';
import { seeded } from '../../support/synthetic-windows.ts';
import { group } from './outcomes.ts';

interface Golden {
  readonly groups: Record<string, Record<'n' | 'sr' | 'tpr' | 'fpr' | 'ppv', number>>;
  readonly large: Record<'dpd' | 'dpr' | 'eopp' | 'eod', number>;
}
const GOLDEN: Golden = JSON.parse(
  readFileSync(resolve(import.meta.dirname, '../../../bench/evaluate/compas.golden.json'), 'utf8'),
);

/** The one table of whole counts that has the published rates of a group, to 4 decimals. */
function countsOf(name: string) {
  const { n, sr, tpr, fpr, ppv } = GOLDEN.groups[name];
  const positive = Math.round(n * sr);
  for (let tp = 0; tp <= positive; tp += 1) {
    const fp = positive - tp;
    const ones = Math.round(tp / tpr);
    const [fn, tn] = [ones - tp, n - ones - fp];
    const near = [
      [tp / positive, ppv],
      [tp / ones, tpr],
      [fp / (fp + tn), fpr],
    ].every(([found, wanted]) => Math.abs(found - wanted) <= 0.5e-4);
    if (near) return group(name, n, positive, { tp, fp, fn, tn });
  }
  throw new Error(`no counts have the rates of ${name}`);
}

describe('H.4: fairness', () => {
  const large = Object.keys(GOLDEN.groups)
    .filter((name) => GOLDEN.groups[name].n >= 100)
    .map(countsOf);

  it("has COMPAS's published figures to 4 decimals", () => {
    const metrics = fairnessMetrics(large);
    const { dpd, dpr, eopp, eod } = GOLDEN.large;
    expect(metrics.demographicParityDifference).toBeCloseTo(dpd, 4);
    expect(metrics.demographicParityRatio).toBeCloseTo(dpr, 4);
    expect(metrics.equalOpportunityDifference).toBeCloseTo(eopp, 4);
    expect(metrics.equalizedOddsDifference).toBeCloseTo(eod, 4);
    const [view] = fairnessViews(large);
    for (const { group: name, selectionRate, truePositiveRate } of view.groups) {
      const { sr, tpr } = GOLDEN.groups[name.replace('sex=', '')];
      expect(selectionRate.value).toBeCloseTo(sr, 4);
      expect(truePositiveRate?.value).toBeCloseTo(tpr, 4);
    }
    expect([view.verdict, view.ratioVerdict]).toEqual(['violates', 'violates']);
  });

  it('of a fair model with groups as unequal as these violates in at most 5 of 100 weeks of looks', () => {
    const random = seeded(4);
    const shares = large.map(({ rows }) => rows / large.reduce((sum, one) => sum + one.rows, 0));
    let violations = 0;
    for (let run = 0; run < 100; run += 1) {
      const counts = shares.map(() => ({ rows: 0, positive: 0 }));
      let violated = false;
      for (let look = 0; look < 168 && !violated; look += 1) {
        for (let row = 0; row < 37; row += 1) {
          let at = 0;
          for (let place = random(); at < shares.length - 1 && place >= shares[at]; at += 1)
            place -= shares[at];
          counts[at].rows += 1;
          counts[at].positive += Number(random() < 0.45);
        }
        const groups = counts.map(({ rows, positive }, at) => group(`g${at}`, rows, positive));
        const [view] = fairnessViews(groups);
        violated = view.verdict === 'violates' || view.ratioVerdict === 'violates';
      }
      violations += Number(violated);
    }
    expect(violations).toBeLessThanOrEqual(5);
  });
});

interface Row {
  readonly score: number;
  readonly y: number;
}

describe('H.7: performance without labels', () => {
  const grid = { kind: 'binary' as const, axes: [], scoreBins: 64, classes: [] };
  const cells = new OutcomeCells(grid);
  const random = seeded(7);
  /** Scores that are too sure of themselves; `turned` of the truths have turned around. */
  const rowOf = (spread: number, turned = 0): Row => {
    const score = Math.round(1e3 * (0.5 + spread * (2 * random() - 1))) / 1e3;
    const truth = 0.5 + 0.7 * (score - 0.5);
    return { score, y: Number(random() < (random() < turned ? 1 - truth : truth)) };
  };
  const sketchOf = (rows: readonly Row[], labelled: boolean) => {
    const outcome: OutcomeSketch = emptyOutcome(grid);
    for (const { score, y } of rows) {
      cells.countPrediction(outcome, [], score, score >= 0.5);
      if (labelled) cells.countLabel(outcome, [], score, score >= 0.5, y);
    }
    return outcome;
  };
  const many = (rows: number, spread: number, turned = 0) =>
    Array.from({ length: rows }, () => rowOf(spread, turned));
  const validated = many(10_000, 0.5);
  const baseline = sketchOf(validated, true);
  const map = isotonicMap(scoreBins(baseline.scores));
  const estimateOf = (outcome: OutcomeSketch) =>
    performanceView(outcome, baseline, map).estimated?.estimate;

  /** The same estimator with a bin for each score: nothing is put together. */
  const exactly = (rows: readonly Row[], labelled: readonly Row[]) => {
    const all = [...new Set([...rows, ...labelled].map(({ score }) => score))].sort(
      (x, y) => x - y,
    );
    const place = new Map(all.map((score, at) => [score, at]));
    const counted = (some: readonly Row[]) => {
      const bins = all.map(() => {
        return { negative: 0, positive: 0, scoreSum: 0, labelled0: 0, labelled1: 0 };
      });
      for (const { score, y } of some) {
        const bin = bins[place.get(score) ?? 0];
        bin[score >= 0.5 ? 'positive' : 'negative'] += 1;
        bin[y === 1 ? 'labelled1' : 'labelled0'] += 1;
        bin.scoreSum += score;
      }
      return bins;
    };
    return estimatePerformance(counted(rows), isotonicMap(counted(labelled)));
  };

  it('from 64 bins is within 0.01 of what a bin for each score says', () => {
    for (const spread of [0.5, 0.3, 0.1]) {
      const rows = many(1000, spread);
      const [found, exact] = [estimateOf(sketchOf(rows, false)), exactly(rows, validated)];
      expect(Math.abs((found?.accuracy ?? 0) - (exact?.accuracy ?? 1))).toBeLessThan(0.01);
      expect(Math.abs((found?.auc ?? 0) - (exact?.auc ?? 1))).toBeLessThan(0.01);
    }
  });

  it('is trusted while labels agree, and hidden once the concept has turned', () => {
    const agreeing = performanceView(sketchOf(many(2000, 0.5), true), baseline, map).estimated;
    expect(agreeing?.trust).toBeGreaterThan(0.8);
    expect(agreeing?.estimate).not.toBeNull();
    const turned = performanceView(sketchOf(many(2000, 0.5, 0.6), true), baseline, map).estimated;
    expect(turned).toMatchObject({ trust: 0, estimate: null });
  });
});
