import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { AnswerWindow } from '../../../../agent/engine/observe/answer-window.ts';
import { ArmGuard } from '../../../../agent/engine/observe/arm-guard.ts';
import { DriftWatch } from '../../../../agent/engine/observe/drift-watch.ts';
import { hasNonFinite, someNonFinite } from '../../../../agent/engine/serve/non-finite.ts';
import { allocatedPerCall } from '../../../../bench/support/allocated.ts';
import type { Guard } from '../../../../protocol/guard.ts';
import { addNumeric, emptyNumeric } from '../../../../protocol/sketch/histogram.ts';
import { allCells } from '../../../../protocol/statistics/drift.ts';
import { debiasedPsi } from '../../../../protocol/statistics/psi.ts';
import type { Breach } from '../../../../protocol/trip.ts';

const tensor = (data: Float32Array, width = 1): ReadonlyMap<string, Tensor> =>
  new Map([['y', { datatype: 'FP32', shape: [data.length / width, width], data } as Tensor]]);
const GOOD = tensor(Float32Array.of(0.5));
const NAN = tensor(Float32Array.of(Number.NaN));

function guarded(guard: Guard, reference: Parameters<typeof newGuard>[1] = null) {
  const breaches: [Breach, string | null][] = [];
  return { breaches, guard: newGuard(guard, reference, breaches) };
}

function newGuard(
  guard: Guard,
  reference: ReturnType<typeof emptyNumeric> | null,
  breaches: [Breach, string | null][],
): ArmGuard {
  return new ArmGuard(guard, reference, (breach, decision) => breaches.push([breach, decision]));
}

const answer = (outputs = GOOD, latencyUs = 1, inputs = GOOD) =>
  [inputs, outputs, latencyUs] as const;

describe('the window of the last answers', () => {
  it('counts what the last n of a list have, whatever came before', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 20 }),
        fc.array(fc.integer({ min: 0, max: 7 }), { maxLength: 100 }),
        (size, flags) => {
          const window = new AnswerWindow(size);
          for (const [at, each] of flags.entries()) {
            window.add(each);
            const last = flags.slice(Math.max(0, at + 1 - size), at + 1);
            const having = (bit: number) => last.filter((flag) => (flag & bit) !== 0).length;
            expect([window.answers, window.nonFinite, window.failed, window.slow]).toEqual([
              last.length,
              having(1),
              having(2),
              having(4),
            ]);
          }
        },
      ),
    );
  });
});

describe('GUARD-1: a threshold is passed', () => {
  it('at the answer that makes one bad answer too many of the last ones, and by no other', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 30 }),
        fc.integer({ min: 0, max: 9 }),
        fc.array(fc.boolean(), { maxLength: 120 }),
        (lastAnswers, maxNonFinite, bad) => {
          const { guard, breaches } = guarded({ lastAnswers, maxNonFinite });
          const naive = bad.findIndex((isBad, at) => {
            const last = bad.slice(Math.max(0, at + 1 - lastAnswers), at + 1);
            return isBad && last.filter(Boolean).length > maxNonFinite;
          });
          for (const [at, isBad] of bad.entries()) {
            guard.answered(...answer(isBad ? NAN : GOOD), String(at));
            expect(breaches).toHaveLength(naive !== -1 && at >= naive ? 1 : 0);
          }
          if (naive !== -1) expect(breaches[0][1]).toBe(String(naive));
        },
      ),
    );
  });

  it('by a share of failures: 5 % of 100 bears five, and 29 % bears 29', () => {
    for (const [share, bears] of [
      [0.05, 5],
      [0.29, 29],
      [0, 0],
    ]) {
      const { guard, breaches } = guarded({ maxErrorShare: share });
      for (let k = 0; k < bears; k += 1) guard.failed('model_failed', 1);
      expect(breaches).toEqual([]);
      guard.failed('model_failed', 1);
      const seen = { threshold: 'errors', bad: bears + 1, limit: bears, code: 'model_failed' };
      expect(breaches[0][0]).toMatchObject(seen);
    }
  });

  it('by answers that take longer than the budget, and not by one that takes just as long', () => {
    const latency = { budgetUs: 1000, maxShare: 0.1 };
    const { guard, breaches } = guarded({ lastAnswers: 10, latency });
    guard.answered(...answer(GOOD, 1000), 'a');
    guard.answered(...answer(GOOD, 1001), 'b');
    expect(breaches).toEqual([]);
    guard.answered(...answer(GOOD, 5000), 'c');
    const found = { threshold: 'latency', bad: 2, answers: 3, limit: 1 };
    expect(breaches).toEqual([[{ ...found, budgetUs: 1000, latencyUs: 5000 }, 'c']]);
  });

  it('not by what is no fault of the version: a full queue, a feature server, NaN that went in', () => {
    const latency = { budgetUs: 1000, maxShare: 0 };
    const { guard, breaches } = guarded({ maxNonFinite: 0, maxErrorShare: 0, latency });
    for (const code of ['overloaded', 'feature_server_failed', 'bad_request'] as const) {
      guard.failed(code, 1e6);
    }
    guard.failed('deadline_exceeded', 999);
    guard.answered(...answer(NAN, 1, NAN), 'a');
    expect(breaches).toEqual([]);
    guard.failed('deadline_exceeded', 1001);
    expect(breaches[0][0]).toMatchObject({ threshold: 'latency' });
  });

  it('looks at nothing that no threshold is set for', () => {
    const { guard, breaches } = guarded({ maxErrorShare: 0.5 });
    for (let k = 0; k < 300; k += 1) guard.answered(...answer(NAN, 1e9), 'a');
    expect(breaches).toEqual([]);
  });
});

it('a guard allocates nothing for a good answer', () => {
  const latency = { budgetUs: 1_000_000, maxShare: 0 };
  const { guard } = guarded({ maxNonFinite: 0, maxErrorShare: 0, latency });
  const bytes = allocatedPerCall(() => {
    for (let at = 0; at < 1000; at += 1) guard.answered(GOOD, GOOD, at, 'decision');
  });
  expect(bytes / 1000).toBeLessThan(1);
});

describe('whether an output is finite', () => {
  it('is said as by a look at each element, of small tensors', () => {
    const number = fc.oneof(fc.float(), fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY));
    fc.assert(
      fc.property(fc.array(number, { maxLength: 60 }), (numbers) => {
        const some = tensor(Float32Array.from(numbers));
        expect(someNonFinite(some)).toBe(hasNonFinite(some));
      }),
    );
  });

  it.each([2, 4, 7, 49, 64, 1000])('finds a bad column among %i of a large matrix', (width) => {
    const data = new Float32Array(width * Math.ceil(50_000 / width));
    for (let at = width - 1; at < data.length; at += width) data[at] = Number.NaN;
    expect(someNonFinite(tensor(data, width))).toBe(true);
  });
});

describe('GUARD-2: drift of the predictions', () => {
  const grid = { edges: Float64Array.from({ length: 9 }, (_, k) => (k + 1) / 10) };
  const drawn = (values: readonly number[], into = emptyNumeric(grid)) => {
    for (const value of values) addNumeric(into, grid, value);
    return into;
  };
  const even = (count: number) => Array.from({ length: count }, (_, k) => ((k * 7) % 100) / 100);
  const reference = drawn(even(1000));

  it('is the debiased PSI of the running window, however telemetry cuts its own', () => {
    const cuts = fc.array(fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 90 }));
    fc.assert(
      fc.property(cuts, (windows) => {
        const watch = new DriftWatch(reference, 100);
        const all = emptyNumeric(grid);
        for (const window of windows) {
          drawn(window, all);
          const found = watch.look(drawn(window));
          const rows = all.moments.count;
          // Within the first half nothing has been forgotten.
          if (rows < 100) expect(found).toBeNull();
          else if (rows < 200) {
            expect(found?.rows).toBe(rows);
            expect(found?.psi).toBeCloseTo(debiasedPsi(allCells(reference), allCells(all)), 12);
          } else break;
        }
      }),
    );
  });

  it('forgets what is older than two halves, so that a late drift is not drowned by a good past', () => {
    const watch = new DriftWatch(reference, 100);
    const window = emptyNumeric(grid);
    drawn(even(5000), window);
    expect(watch.look(window)?.psi).toBe(0);
    let found = watch.look(window);
    for (let k = 0; k < 30; k += 1) {
      drawn(
        Array.from({ length: 10 }, () => 0.95),
        window,
      );
      found = watch.look(window);
    }
    expect(found?.rows).toBeLessThan(400);
    expect(found?.psi).toBeGreaterThan(2);
  });

  it('is looked at once in a stride, and passes the limit once', () => {
    const { guard, breaches } = guarded({ drift: { maxPsi: 0.5, minRows: 200 } }, reference);
    const window = emptyNumeric(grid);
    let looks = 0;
    for (let k = 0; k < 400; k += 1) {
      drawn([0.95], window);
      guard.counted(1, window, () => {
        looks += 1;
        return window;
      });
    }
    // At the first answer, and then each time that 64 have come, until the limit is passed at 257.
    expect(looks).toBe(5);
    expect(breaches).toHaveLength(1);
    expect(breaches[0][0]).toMatchObject({ threshold: 'drift', rows: 257, limit: 0.5 });
  });
});
