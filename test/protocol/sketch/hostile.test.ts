import { describe, expect, it } from 'vitest';
import {
  decodeWindow,
  encodeWindow,
  KEPT_FORMAT,
  WIRE_FORMAT,
} from '../../../protocol/sketch/codec.ts';
import { emptyWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { sealed } from './sealed.ts';
import { windowOf } from './windows.ts';

/** Two values, 1 and 3, in the first feature; moments and latency replaced as given. */
function forged(
  moments: Partial<{ mean: number; m2: number; min: number; max: number }>,
  latency: Partial<{ sumUs: number; maxUs: number }> = {},
): WindowSketch {
  const window = windowOf(
    [1, 3].map((x) => ({ x, text: 'a', code: 0, score: 0.5, latencyUs: x * 100 })),
  );
  const [feature] = window.features;
  if (feature.kind === 'numeric') Object.assign(feature.moments, moments);
  Object.assign(window.latency, latency);
  return window;
}

describe('a well-formed window that no data have', () => {
  it.each([
    { mean: NaN },
    { mean: 3.1 },
    { mean: 0.9 },
    { m2: -1 },
    { m2: NaN },
    { m2: Infinity },
    { m2: 9 },
    { min: 4 },
    { min: NaN },
    { max: Infinity },
    { max: 2 ** 481 },
    { min: -(2 ** 481) },
  ])('is refused with moments %o', (moments) => {
    const bytes = encodeWindow(forged(moments), KEPT_FORMAT);
    expect(() => decodeWindow(bytes)).toThrow(/feature 0: no 2 values have mean/);
  });

  it.each([
    { maxUs: NaN },
    { maxUs: Infinity },
    { maxUs: 200 },
    { maxUs: 400 },
    { maxUs: -1 },
    { sumUs: NaN },
    { sumUs: -1 },
    { sumUs: Infinity },
  ])('is refused with latency %o', (latency) => {
    for (const format of [KEPT_FORMAT, WIRE_FORMAT] as const) {
      const bytes = encodeWindow(forged({}, latency), format);
      expect(() => decodeWindow(bytes)).toThrow(/latency: sum .* do not fit/);
    }
  });

  it('is accepted as it was', () => {
    expect(decodeWindow(encodeWindow(forged({}))).requests).toBe(2);
  });
});

describe('bytes that no encoder writes', () => {
  const EMPTY_LATENCY = [0, 0x80, 0x10];
  const HEAD = [0, 0, 0, 0, ...EMPTY_LATENCY, 0];
  const categorical = (cells: number, ...counts: number[]) =>
    sealed([...HEAD, 1, 0, 0, cells, ...counts], KEPT_FORMAT);

  it('stand for the same window as what one writes, but for the fault', () => {
    const prediction = { kind: 'categorical', values: [1, 2, 3] } as const;
    const bytes = encodeWindow(emptyWindow({ features: [], prediction }), KEPT_FORMAT);
    expect(categorical(3, 0, 2)).toEqual(bytes);
  });

  it.each([
    ['a run of zeros past the last cell', categorical(3, 0, 3), '4 zeros at cell 0 of 3'],
    ['a run of zeros in two', categorical(3, 0, 0, 0, 1), '2 zeros at cell 1 of 3 after zeros'],
    ['a fourth kind', sealed([...HEAD, 3, 0, 0, 0], KEPT_FORMAT), 'kind 3, must be 0, 1 or 2'],
    ['counts that sum above 2^53', categorical(2, ...largestCount(), 1), 'above 2^53 - 1'],
  ])('are refused: %s', (_, bytes, message) => {
    expect(() => decodeWindow(bytes)).toThrow(message);
  });
});

/** 2^53 − 1 as a varint. */
function largestCount(): number[] {
  return [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f];
}
