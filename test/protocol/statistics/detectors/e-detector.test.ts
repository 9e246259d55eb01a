import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SketchError } from '../../../../protocol/sketch/error.ts';
import { createDetector } from '../../../../protocol/statistics/detectors/detector.ts';
import { ErrorEDetector } from '../../../../protocol/statistics/detectors/error-e-detector.ts';
import { seededUniform } from '../seeded.ts';

/** Values until the alarm; `most` without one. */
function runLength(detector: ErrorEDetector, next: () => number, most: number): number {
  for (let row = 1; row <= most; row += 1) if (detector.update(next()) === 'drift') return row;
  return most;
}

function meanRunLength(tolerated: number, level: number, next: () => number, runs: number) {
  let sum = 0;
  for (let run = 0; run < runs; run += 1) {
    sum += runLength(new ErrorEDetector(tolerated, Math.log(level)), next, 20 * level);
  }
  return sum / runs;
}

describe('the e-detector of errors', () => {
  it.each([0.02, 0.2, 0.6])('alarms falsely every A values or later at a rate of %d', (rate) => {
    const uniform = seededUniform(1000 * rate);
    const errors = () => Number(uniform() < rate);
    expect(meanRunLength(rate, 300, errors, 300)).toBeGreaterThan(300);
  });

  it('keeps its promise for losses and for errors that come in clusters', () => {
    const uniform = seededUniform(8);
    expect(meanRunLength(0.25, 300, () => uniform() ** 3, 300)).toBeGreaterThan(300);
    // Each run of ten repeats one error of rate 0.1, but what is promised holds per given past: 0.1 is not.
    let [left, error] = [0, 0];
    const clustered = () => {
      if (left === 0) [left, error] = [10, Number(uniform() < 0.1)];
      left -= 1;
      return error;
    };
    expect(meanRunLength(0.9, 300, clustered, 100)).toBeGreaterThan(300);
  });

  it.each([
    [0.2, 0.4, 110],
    [0.2, 0.3, 330],
    [0.05, 0.1, 420],
    [0.01, 0.9, 8],
  ])('finds errors that rise from %d to %d after 5,000 values', (before, after, within) => {
    const uniform = seededUniform(3);
    const delays: number[] = [];
    for (let run = 0; run < 40; run += 1) {
      const detector = new ErrorEDetector(before, Math.log(1e5));
      for (let row = 0; row < 5000; row += 1) detector.update(Number(uniform() < before));
      delays.push(runLength(detector, () => Number(uniform() < after), 5000));
    }
    expect(delays.sort((a, b) => a - b)[20]).toBeLessThan(within);
  });

  it('says nothing of a rate that falls', () => {
    const detector = new ErrorEDetector(0.3, Math.log(100));
    for (let row = 0; row < 10_000; row += 1) expect(detector.update(0)).toBe('none');
    expect(detector.logEvidence).toBeLessThan(3);
  });
});

describe('every detector', () => {
  const context = { toleratedRate: 0.1, logLevel: Math.log(1e5) };
  const kinds = ['e-detector', 'adwin', 'ddm', 'eddm', 'page-hinkley', 'kswin'] as const;

  it.each(kinds)(
    '%s takes any value in [0, 1] without a NaN, and refuses what is not finite',
    (kind) => {
      const value = fc.oneof(fc.constantFrom(0, 1), fc.double({ min: 0, max: 1, noNaN: true }));
      fc.assert(
        fc.property(fc.array(value, { maxLength: 400 }), (values) => {
          const detector = createDetector({ kind }, context);
          for (const x of values)
            expect(['none', 'warning', 'drift']).toContain(detector.update(x));
        }),
        { numRuns: 30 },
      );
      const detector = createDetector({ kind }, context);
      for (const x of [NaN, Infinity]) expect(() => detector.update(x)).toThrow(SketchError);
    },
  );

  it.each(kinds)('%s finds errors that rise from 0.1 to 0.6', (kind) => {
    const uniform = seededUniform(21);
    const detector = createDetector({ kind }, context);
    const signals = [0.1, 0.6].flatMap((rate) =>
      Array.from({ length: 2000 }, () => detector.update(Number(uniform() < rate))),
    );
    expect(signals.slice(2000, 2700)).toContain('drift');
  });

  it.each(['e-detector', 'adwin', 'page-hinkley', 'ddm'] as const)(
    '%s lets errors fall from 0.6 to 0.1 without a word',
    (kind) => {
      const uniform = seededUniform(4);
      const detector = createDetector({ kind }, { ...context, toleratedRate: 0.65 });
      const signals = [0.6, 0.1].flatMap((rate) =>
        Array.from({ length: 2000 }, () => detector.update(Number(uniform() < rate))),
      );
      expect(signals.slice(2000)).not.toContain('drift');
    },
  );

  it('refuses settings that make no detector', () => {
    const refused = [
      { kind: 'kswin', statSize: 60 },
      { kind: 'eddm', alpha: 0.8, beta: 0.9 },
      { kind: 'adwin', delta: 2 },
      { kind: 'e-detector', toleratedRate: 1 },
    ] as const;
    for (const settings of refused) {
      expect(() => createDetector(settings, context)).toThrow(SketchError);
    }
  });
});
