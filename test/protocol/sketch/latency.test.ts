import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  addLatency,
  emptyLatency,
  LATENCY_BUCKETS,
  latencyBucket,
  quantile,
} from '../../../protocol/sketch/latency.ts';

const anyDuration = fc.oneof(
  fc.double({ min: 1, max: 2 ** 32 - 1, noNaN: true }),
  fc.double({ min: 1, max: 5000, noNaN: true }),
);

it('is within 1 % of the exact quantile', () => {
  const durations = fc.array(anyDuration, { minLength: 1, maxLength: 200 });
  fc.assert(
    fc.property(durations, fc.double({ min: 0, max: 1, noNaN: true }), (values, q) => {
      const sketch = emptyLatency();
      for (const value of values) addLatency(sketch, value);
      const exact = values.sort((a, b) => a - b)[Math.max(1, Math.ceil(q * values.length)) - 1];
      const estimate = quantile(sketch, q) ?? NaN;
      expect(Math.abs(estimate - exact) / exact).toBeLessThanOrEqual(0.01);
      expect(quantile(sketch, 1)).toBe(values.at(-1));
    }),
  );
});

it('has buckets in order, from 0 to beyond the last octave', () => {
  expect([0, 0.99, 1, 1 + 1 / 64, 2].map(latencyBucket)).toEqual([0, 0, 1, 2, 65]);
  expect(latencyBucket(2 ** 32 - 1)).toBe(LATENCY_BUCKETS - 1);
  expect(latencyBucket(Number.MAX_VALUE)).toBe(LATENCY_BUCKETS - 1);
});

it('takes 0 and refuses what no clock measures', () => {
  const sketch = emptyLatency();
  expect(quantile(sketch, 0.5)).toBeNull();
  addLatency(sketch, 0);
  expect(quantile(sketch, 0.5)).toBe(0);
  for (const duration of [-1e-9, NaN, Infinity]) {
    expect(() => addLatency(sketch, duration)).toThrow('must be finite and at least 0');
  }
  for (const q of [-0.1, 1.1, NaN]) expect(() => quantile(sketch, q)).toThrow('from 0 to 1');
  expect(sketch.count).toBe(1);
});
