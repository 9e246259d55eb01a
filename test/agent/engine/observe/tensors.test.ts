import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { FourierFeatures } from '../../../../agent/engine/observe/tensor/fourier.ts';
import { ImageReader } from '../../../../agent/engine/observe/tensor/image-reader.ts';
import { Projection } from '../../../../agent/engine/observe/tensor/projection.ts';
import { strideOf, VectorReader } from '../../../../agent/engine/observe/tensor/row-reader.ts';
import { TensorObserver } from '../../../../agent/engine/observe/tensors.ts';
import { emptyTensorSketch, FOURIER_UNIT } from '../../../../protocol/sketch/tensor-sketch.ts';
import {
  MAX_WATCHED_ELEMENTS,
  tensorGridOf,
  type WatchedTensor,
} from '../../../../protocol/tensor-profile.ts';

interface Golden {
  readonly vectors: Record<
    'mean' | 'axes' | 'centroids' | 'norm' | 'residual' | 'nearest',
    number[]
  > & {
    readonly fourier: number[][];
  };
  readonly long: { readonly width: number; readonly norm: number[] };
  readonly image: { readonly measures: number[]; readonly light: number[] };
}
/** Of numpy, by tensors.py beside it. */
const golden: Golden = JSON.parse(
  readFileSync(new URL('./golden/tensors.json', import.meta.url), 'utf8'),
);

const [ROWS, WIDTH, AXES] = [12, 37, 3];
const [FEATURES, SEED, BANDWIDTH] = [16, 77, 4];

/** The rows of tensors.py. */
function wave(rows: number, width: number, speed: number): Float32Array {
  return Float32Array.from({ length: rows * width }, (_, at) => {
    const [r, k] = [Math.floor(at / width), at % width];
    return Math.sin(1.7 * r + speed * k + 0.1 * r * k);
  });
}

/** Row by row what `look` makes of it, centred by the golden mean. */
function centred<T>(look: (row: Float64Array, norm: number) => T): T[] {
  const reader = new VectorReader(WIDTH);
  const data = wave(ROWS, WIDTH, 0.31);
  const row = new Float64Array(WIDTH);
  const values = new Float64Array(1);
  return Array.from({ length: ROWS }, (_, at) => {
    expect(reader.read(data, at, row, values)).toBe(true);
    for (let k = 0; k < WIDTH; k += 1) row[k] -= golden.vectors.mean[k];
    return look(row, values[0]);
  });
}

function expectClose(actual: readonly number[], expected: readonly number[], within = 1e-9): void {
  expect(actual.length).toBe(expected.length);
  for (const [at, value] of actual.entries()) {
    expect(Math.abs(value - expected[at]), `${at}: ${value}`).toBeLessThanOrEqual(within);
  }
}

describe('an embedding, as numpy sees it', () => {
  it('has its norm, the distance from its axes, and the nearest centroid', () => {
    const { axes, centroids, norm, residual, nearest } = golden.vectors;
    const projection = new Projection(WIDTH, axes, centroids);
    const seen = centred((row, length) => {
      projection.project(row);
      const squares = row.reduce((sum, x) => sum + x * x, 0);
      return { length, left: projection.residual(squares), nearest: projection.nearest() };
    });
    expectClose(
      seen.map(({ length }) => length),
      norm,
    );
    expectClose(
      seen.map(({ left }) => left),
      residual,
      1e-6,
    );
    expect(seen.map((one) => one.nearest)).toEqual(nearest);
    expect(axes.length).toBe(AXES * WIDTH);
  });

  it('has its random Fourier features, to half a step of the table of cosines', () => {
    const fourier = new FourierFeatures(WIDTH, FEATURES, SEED, BANDWIDTH);
    // Half of 2π / 2048, and the rounding to whole units.
    const within = FOURIER_UNIT * (Math.PI / 2048) + 0.5;
    const seen = centred((row) => {
      const sums = new Float64Array(FEATURES);
      fourier.add(row, sums);
      return [...sums];
    });
    for (const [at, sums] of seen.entries()) {
      expectClose(
        sums,
        golden.vectors.fourier[at].map((phi) => phi * FOURIER_UNIT),
        within,
      );
    }
  });

  it('of more than 4,096 elements is read at a fixed stride, and never wider', () => {
    const reader = new VectorReader(10_001);
    expect(reader.width).toBe(golden.long.width);
    const row = new Float64Array(reader.width);
    const values = new Float64Array(1);
    const norms = [0, 1, 2].map((at) => {
      reader.read(wave(3, 10_001, 0.0007), at, row, values);
      return values[0];
    });
    expectClose(norms, golden.long.norm, 1e-6);
    for (const elements of [1, 4095, 4096, 4097, 8192, 8193, 150_528]) {
      const { step, width } = strideOf(elements);
      expect(width, String(elements)).toBeLessThanOrEqual(MAX_WATCHED_ELEMENTS);
      expect([(width - 1) * step < elements, width * step >= elements]).toEqual([true, true]);
      expect(step === 1).toBe(elements <= MAX_WATCHED_ELEMENTS);
    }
  });
});

describe('an image, as numpy sees it', () => {
  const [height, across, channels] = [9, 14, 3];
  const last = wave(1, height * across * channels, 0.011);
  const first = Float32Array.from({ length: last.length }, (_, at) => {
    const [channel, pixel] = [Math.floor(at / (height * across)), at % (height * across)];
    return last[pixel * channels + channel];
  });

  it.each([
    ['channels-last', last, [1, height, across, channels]],
    ['channels-first', first, [1, channels, height, across]],
  ] as const)('has its light and what is measured on it, %s', (order, data, shape) => {
    const reader = new ImageReader({ order, side: 4, low: [-1, -0.9, -1], high: [1, 0.8, 1] });
    expect(reader.fits(shape, 1)).toBe(true);
    const light = new Float64Array(reader.width);
    const values = new Float64Array(reader.measures.length);
    expect(reader.read(data, 0, light, values)).toBe(true);
    expectClose([...light], golden.image.light, 1e-6);
    expectClose([...values], golden.image.measures, 1e-6);
  });

  it('of another number of channels, or without a size, does not fit', () => {
    const reader = new ImageReader({ order: 'channels-last', side: 4, low: [0], high: [1] });
    expect(reader.fits([1, 9, 14], 1)).toBe(true);
    for (const shape of [[1, 9, 14, 3], [1, 0, 14, 1], [9, 14], []]) {
      expect(reader.fits(shape, 1), shape.join()).toBe(false);
    }
  });
});

describe('the tensors of answered requests', () => {
  const { mean, axes, centroids } = golden.vectors;
  const measure = (name: string) => ({ name, grid: { edges: Float64Array.of(1, 2, 3, 4, 5) } });
  const watched: WatchedTensor = {
    ...{ name: 'e', side: 'input', kind: 'embedding', width: WIDTH },
    layout: { kind: 'vector', elements: WIDTH },
    ...{ mean: Float32Array.from(mean), axes: Float32Array.from(axes) },
    centroids: Float32Array.from(centroids),
    fourier: {
      ...{ features: FEATURES, seed: SEED, bandwidth: BANDWIDTH },
      spread: { trace: 1, square: 1, cube: 1 },
    },
    measures: [measure('norm'), measure('reconstruction')],
  };
  function count(tensor: Tensor | null, rows: number, share: number, requests = 1) {
    const sketch = emptyTensorSketch(tensorGridOf(watched));
    const observer = new TensorObserver([watched], share);
    const inputs = new Map(tensor === null ? [] : [['e', tensor]]);
    for (let at = 0; at < requests; at += 1) {
      observer.answered([{ inputs, outputs: new Map(), rows }], [sketch]);
    }
    return sketch;
  }
  const data = wave(ROWS, WIDTH, 0.31);
  const tensor: Tensor = { datatype: 'FP32', shape: [ROWS, WIDTH], data };

  it('are counted row by row, on centroids, measures and features', () => {
    const sketch = count(tensor, ROWS, 1);
    expect(sketch.rows).toBe(ROWS);
    const near = [0, 1, 2, 3].map((at) => golden.vectors.nearest.filter((k) => k === at).length);
    expect([...sketch.centroidCounts]).toEqual(near);
    const total = golden.vectors.norm.reduce((sum, x) => sum + x, 0);
    expect(sketch.measures[0].moments.mean).toBeCloseTo(total / ROWS, 9);
  });

  it('are looked at in the share that is asked for, at even distances over requests', () => {
    const one: Tensor = { datatype: 'FP32', shape: [1, WIDTH], data: data.slice(0, WIDTH) };
    expect(count(one, 1, 0.25, 100).rows).toBe(25);
    expect(count(tensor, ROWS, 0.25, 3).rows).toBe(9);
    expect(count(tensor, ROWS, 0).rows).toBe(0);
  });

  it('that are not there, of another width or no numbers are missing; NaN is non-finite', () => {
    const text: Tensor = { datatype: 'BYTES', shape: [1, WIDTH], data: new Array(WIDTH).fill('1') };
    const narrow: Tensor = { datatype: 'FP32', shape: [1, 3], data: new Float32Array(3) };
    for (const odd of [null, text, narrow]) {
      const sketch = count(odd, 1, 1);
      expect(sketch.measures.map(({ missing }) => missing)).toEqual([1, 1]);
    }
    const broken = Float32Array.from({ length: WIDTH }, () => Number.NaN);
    const sketch = count({ datatype: 'FP32', shape: [1, WIDTH], data: broken }, 1, 1);
    expect(sketch.measures.map(({ nonFinite }) => nonFinite)).toEqual([1, 1]);
    expect([...sketch.centroidCounts, ...sketch.fourierSums].every((x) => x === 0)).toBe(true);
  });
});
