import { describe, expect, it } from 'vitest';
import { partOf } from '../../../control-plane/decide/outcome-sum.ts';
import { mergeOutcome } from '../../../protocol/sketch/outcome.ts';
import { ScoredModel } from '../../support/scored-traffic.ts';

const steps = (count: number, step: () => unknown) => {
  for (let at = 0; at < count; at += 1) step();
};
/** Steps until `done`, or null. */
const until = (most: number, step: () => unknown, done: () => boolean) => {
  for (let at = 1; at <= most; at += 1) {
    step();
    if (done()) return at;
  }
  return null;
};

describe('labels', () => {
  it('raise nothing over 2,000 batches of a model that errs as its baseline did', () => {
    for (let seed = 1; seed <= 10; seed += 1) {
      const model = new ScoredModel(seed);
      steps(200, () => {
        model.label({ rows: 60 });
        expect(model.kindOf('label-errors')).not.toBe('alert');
        expect(model.kindOf('error-gap', 'sex')).not.toBe('alert');
      });
    }
  });

  it('show a concept that has turned in one row of five within 1,200 labels', () => {
    const model = new ScoredModel(3);
    steps(20, () => model.label({ rows: 60 }));
    const turned = () => model.label({ rows: 60, flipped: 0.2 });
    const batches = until(20, turned, () => model.kindOf('label-errors') === 'alert');
    expect(batches).not.toBeNull();
    expect(model.lastOf('label-errors')).toMatchObject({ kind: 'rate', trials: 60 });
  });

  it('without labels in the baseline, the first ones are the reference', () => {
    const model = new ScoredModel(4, { rows: 0 });
    steps(3, () => model.label({ rows: 60 }));
    expect(model.kindOf('label-errors')).toBe('insufficient');
    steps(30, () => model.label({ rows: 60 }));
    expect(model.kindOf('label-errors')).not.toBe('alert');
    steps(12, () => model.label({ rows: 60, flipped: 0.4 }));
    expect(model.kindOf('label-errors')).toBe('alert');
  });

  it('no e-detector configured: nobody watches them here', () => {
    const model = new ScoredModel(5, { rows: 2000 }, { detectors: [{ kind: 'ddm' }] });
    expect(model.kindOf('label-errors')).toBe('none');
  });

  it('and decisions add up to the whole again', () => {
    const { reference } = new ScoredModel(6, { rows: 500 }).shape;
    const outcome = reference?.outcome;
    if (!outcome) throw new Error('the baseline has outcomes');
    const sum = partOf(outcome, 'labels');
    mergeOutcome(sum, partOf(outcome, 'predictions'));
    expect(sum).toEqual(outcome);
  });
});

describe('performance without labels', () => {
  it('alerts when scores gather where the model is unsure, and not before', () => {
    const model = new ScoredModel(7);
    steps(100, () => model.decide({ rows: 300 }));
    expect(model.kindOf('estimated-performance')).toBe('ok');
    const unsure = () => model.decide({ rows: 300, spread: 0.2 });
    expect(
      until(5, unsure, () => model.kindOf('estimated-performance') === 'alert'),
    ).not.toBeNull();
    expect(model.lastOf('estimated-performance')).toMatchObject({ kind: 'level', rows: 300 });
  });

  it('is not believed, nor judged, once labels have contradicted it', () => {
    const model = new ScoredModel(8);
    model.label({ rows: 500, flipped: 0.5 });
    expect(model.state.trust).toBeLessThan(0.5);
    steps(10, () => model.decide({ rows: 300, spread: 0.2 }));
    expect(model.kindOf('estimated-performance')).toBe('insufficient');
    model.label({ rows: 5000 });
    expect(model.state.trust).toBeGreaterThan(0.8);
  });

  it('is held against labels that come in small batches too, and recovers with them', () => {
    const model = new ScoredModel(12);
    model.label({ rows: 60, flipped: 0.5 });
    expect(model.state.trust).toBeNull();
    steps(4, () => model.label({ rows: 60, flipped: 0.5 }));
    expect(model.state.trust).toBeLessThan(0.5);
    steps(30, () => model.label({ rows: 60 }));
    expect(model.state.trust).toBeGreaterThan(0.7);
  });

  it('is compared on scores that the baseline never had as well', () => {
    // Of the baseline every score lies near ½: what lies beyond is known by its neighbours.
    const model = new ScoredModel(13, { rows: 20_000, spread: 0.1 });
    model.label({ rows: 2000, spread: 0.5 });
    expect(model.state.trust).toBeLessThan(0.5);
  });

  it('ends its alert once labels have proved the estimate wrong', () => {
    const model = new ScoredModel(14);
    steps(10, () => model.decide({ rows: 300, spread: 0.2 }));
    expect(model.kindOf('estimated-performance')).toBe('alert');
    model.label({ rows: 500, flipped: 0.5 });
    steps(3, () => model.decide({ rows: 300, spread: 0.2 }));
    expect(model.kindOf('estimated-performance')).toBe('cooling');
  });
});

describe('fairness', () => {
  it('violates where one group is chosen less, by a sequence that may be looked at after each window', () => {
    const model = new ScoredModel(9);
    const unfair = () => model.decide({ rows: 300, penalty: 0.2 });
    const windows = until(60, unfair, () => model.kindOf('fairness', 'sex') === 'alert');
    expect(windows).not.toBeNull();
    expect(model.lastOf('fairness', 'sex')).toMatchObject({
      kind: 'gap',
      group: 'sex=F',
      against: 'sex=M',
      rate: 'selectionRate',
    });
  });

  it('of a fair model raises nothing in 10 × 300 windows, all looked at', () => {
    for (let seed = 20; seed < 30; seed += 1) {
      const model = new ScoredModel(seed);
      steps(300, () => {
        model.decide({ rows: 100 });
        expect(model.kindOf('fairness', 'sex')).not.toBe('alert');
        expect(model.kindOf('selection-gap', 'sex')).not.toBe('alert');
      });
    }
  });

  it('begins anew after the budget period, so that a repaired model comes clean', () => {
    const model = new ScoredModel(10, { rows: 20_000 }, { falseAlarmDays: 1 });
    steps(60, () => model.decide({ rows: 300, penalty: 0.2 }));
    const before = model.state.outcome;
    expect(before?.groups[0]).toBe(60 * 300);
    const aged = { sinceMs: -86_400_000, groups: before?.groups ?? [] };
    model.state = { ...model.state, outcome: aged };
    model.decide({ rows: 300 });
    expect(model.state.outcome?.groups[0]).toBe(300);
  });

  it('a gap that the baseline had is no news, one that has grown is', () => {
    const model = new ScoredModel(11, { rows: 20_000, penalty: 0.15 });
    steps(100, () => model.decide({ rows: 400, penalty: 0.15 }));
    expect(model.kindOf('selection-gap', 'sex')).not.toBe('alert');
    const grown = () => model.decide({ rows: 400, penalty: 0.4 });
    expect(until(10, grown, () => model.kindOf('selection-gap', 'sex') === 'alert')).not.toBeNull();
  });

  it('against a small baseline, which errs in each window alike, nothing grows by itself', () => {
    const alerts = Array.from({ length: 40 }, (_, seed) => {
      // 500 rows: some 200 of F. A block of 2,000 would find the baseline's own error again and again.
      const model = new ScoredModel(100 + seed, { rows: 500, penalty: 0.15 });
      steps(60, () => model.decide({ rows: 2000, penalty: 0.15 }));
      return model.kindOf('selection-gap', 'sex');
    });
    expect(alerts.filter((kind) => kind === 'alert')).toEqual([]);
  });
});
