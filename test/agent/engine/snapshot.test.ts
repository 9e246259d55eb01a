import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ArmSnapshot,
  denseLatency,
  mergeArms,
  sparseLatency,
  withoutPending,
} from '../../../agent/engine/snapshot.ts';
import { addLatency, emptyLatency, mergeLatency } from '../../../protocol/sketch/latency.ts';

const anyTiming = fc.record({ count: fc.nat(1000), ms: fc.nat(1000) });
const anyLatency = fc.array(fc.integer({ min: 0, max: 1e9 }), { maxLength: 50 }).map((list) => {
  const sketch = emptyLatency();
  for (const us of list) addLatency(sketch, us);
  return sketch;
});
const anyArm: fc.Arbitrary<ArmSnapshot> = fc.record({
  deployment: fc.constantFrom('a', 'b'),
  version: fc.constant(1),
  arm: fc.constantFrom('stable', 'candidate'),
  manifest: fc.constantFrom('sha256:1', 'sha256:2'),
  inferences: fc.nat(1000),
  executions: fc.nat(1000),
  lastInferenceMs: fc.nat(1000),
  success: anyTiming,
  fail: anyTiming,
  queue: anyTiming,
  computeInput: anyTiming,
  computeInfer: anyTiming,
  computeOutput: anyTiming,
  failures: fc.dictionary(fc.constantFrom('overloaded', 'model_failed'), fc.nat(9)),
  batches: fc.uniqueArray(
    fc.record({ size: fc.integer({ min: 1, max: 4 }), executions: fc.nat(9), ms: fc.nat(9) }),
    { selector: ({ size }) => size },
  ),
  latency: anyLatency.map(sparseLatency),
  pending: fc.nat(9),
});
const anyEngine = fc
  .array(anyArm, { maxLength: 4 })
  .map((arms) => mergeArms([arms]).map((arm) => mergeArms([[arm]])[0]));

/** In one order, whatever the order in which engines were asked. */
const shown = (arms: readonly ArmSnapshot[]) =>
  arms
    .map((arm) => {
      const batches = [...arm.batches].sort((a, b) => a.size - b.size);
      const failures = Object.entries(arm.failures).sort();
      return JSON.stringify({ ...arm, batches, failures });
    })
    .sort();

describe('snapshots of several engines', () => {
  it('merge to the same, in whatever order and grouping', () => {
    fc.assert(
      fc.property(anyEngine, anyEngine, anyEngine, (a, b, c) => {
        const all = shown(mergeArms([a, b, c]));
        expect(shown(mergeArms([c, mergeArms([a, b])]))).toEqual(all);
        expect(shown(mergeArms([mergeArms([b, c]), [], a]))).toEqual(all);
      }),
    );
  });

  it('add up: no request is lost or counted twice', () => {
    fc.assert(
      fc.property(fc.array(anyEngine, { maxLength: 4 }), (engines) => {
        const merged = mergeArms(engines);
        const sum = (arms: readonly ArmSnapshot[], of: (arm: ArmSnapshot) => number) =>
          arms.reduce((total, arm) => total + of(arm), 0);
        for (const of of [
          (arm: ArmSnapshot) => arm.success.count,
          (arm: ArmSnapshot) => arm.latency.counts.reduce((x, y) => x + y, 0),
          (arm: ArmSnapshot) => arm.pending,
          (arm: ArmSnapshot) => arm.failures.overloaded ?? 0,
        ]) {
          expect(sum(merged, of)).toBe(sum(engines.flat(), of));
        }
        expect(sum(withoutPending(merged), ({ pending }) => pending)).toBe(0);
      }),
    );
  });

  it('carry latency sketches without loss, and merge as the sketches do', () => {
    fc.assert(
      fc.property(anyLatency, anyLatency, anyArm, (a, b, arm) => {
        expect(denseLatency(sparseLatency(a))).toEqual(a);
        const one = { ...arm, latency: sparseLatency(a) };
        const other = { ...arm, latency: sparseLatency(b) };
        const [{ latency }] = mergeArms([[one], [other]]);
        mergeLatency(a, b);
        expect(denseLatency(latency)).toEqual(a);
      }),
    );
  });
});
