import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { type Answered, Recorder } from '../../../../agent/engine/observe/recorder.ts';
import { windowGrids } from '../../../../protocol/profile.ts';
import { decodeWindow } from '../../../../protocol/sketch/codec.ts';
import { mergeWindow, type WindowSketch } from '../../../../protocol/sketch/window.ts';
import { manifestOf, profileOf } from '../../../protocol/documents.ts';
import { exactPart, momentError } from '../../../protocol/sketch/windows.ts';

const DIGEST = `sha256:${'2'.repeat(64)}`;
const manifest = manifestOf();
const grids = windowGrids(manifest, profileOf(manifest));
const recorder = () => new Recorder('loans', DIGEST, 'stable', manifest, grids);

/** Rows of (loan_to_value, score_class); the other eight columns of the tensor are watched by nobody. */
function inputsOf(rows: readonly (readonly [number, number])[]): Map<string, Tensor> {
  const data = new Float32Array(rows.length * 10).fill(99);
  for (const [row, [ltv, score]] of rows.entries()) {
    data[row * 10 + 2] = ltv;
    data[row * 10 + 3] = score;
  }
  return new Map([['features', { datatype: 'FP32', shape: [rows.length, 10], data }]]);
}

function outputsOf(scores: readonly number[]): Map<string, Tensor> {
  const data = Float32Array.from(scores.flatMap((score) => [1 - score, score]));
  return new Map([['probabilities', { datatype: 'FP32', shape: [scores.length, 2], data }]]);
}

const answer = (
  inputs: Answered['inputs'],
  outputs: Answered['outputs'],
  rows: number,
  latencyUs: number,
): Answered => ({ inputs, outputs, rows, latencyUs, gaps: null });

function cut(from: Recorder): WindowSketch {
  const window = from.cut(5000, 1000);
  if (window === null) throw new Error('nothing was recorded');
  return decodeWindow(window.body);
}

describe('a recorder', () => {
  it('counts requests, rows, columns and scores where they belong', () => {
    const counting = recorder();
    const three: [number, number][] = [
      [0.4, 1],
      [0.6, 1],
      [0.9, 3],
    ];
    counting.answered([
      answer(inputsOf(three), outputsOf([0.1, 0.1, 0.99]), 3, 250),
      answer(inputsOf([[0.8, 7]]), outputsOf([0.5]), 1, 750),
    ]);
    const window = cut(counting);
    expect(window).toMatchObject({ requests: 2, rows: 4, errors: 0, nonFiniteOutputs: 0 });
    expect(window.features.map((feature) => Array.from(feature.counts))).toEqual([
      [1, 1, 2],
      [2, 0, 1],
    ]);
    // Of 64 cells: 0.1 is in cell 6, 0.5 in 32, 0.99 in 63.
    const scores = Array.from(window.prediction.counts);
    expect([scores[6], scores[32], scores[63]]).toEqual([2, 1, 1]);
    expect(window.latency.sumUs).toBe(1000);
    expect(window.latency.maxUs).toBe(750);
  });

  it('counts a value that is not in the dictionary, and one that is no number', () => {
    const counting = recorder();
    counting.answered([answer(inputsOf([[Number.NaN, 7]]), outputsOf([Number.NaN]), 1, 1)]);
    const { features, prediction, nonFiniteOutputs } = cut(counting);
    expect(features[0]).toMatchObject({ nonFinite: 1 });
    expect(features[1]).toMatchObject({ unseen: 1 });
    expect(prediction).toMatchObject({ nonFinite: 1 });
    expect(nonFiniteOutputs).toBe(1);
  });

  it('counts what failed as a request, an error and no row', () => {
    const counting = recorder();
    counting.failed();
    expect(cut(counting)).toMatchObject({ requests: 1, errors: 1, rows: 0 });
  });

  it('says whose window it is, starts an empty one, and has none when nothing was asked', () => {
    const counting = recorder();
    expect(counting.cut(0, 1000)).toBeNull();
    counting.failed();
    expect(counting.cut(5000, 1000)).toMatchObject({
      kind: 'window',
      deployment: 'loans',
      manifest: DIGEST,
      arm: 'stable',
      windowStartMs: 5000,
      windowMs: 1000,
    });
    expect(counting.cut(6000, 1000)).toBeNull();
  });

  it('counts rows of requests that lack an input or the output as missing', () => {
    const counting = recorder();
    const whole = answer(inputsOf([[0.4, 1]]), outputsOf([0.1]), 1, 1);
    counting.answered([whole, { ...whole, inputs: new Map(), outputs: new Map(), rows: 2 }]);
    const { features, prediction } = cut(counting);
    expect(features.map(({ missing }) => missing)).toEqual([2, 2]);
    expect(prediction.missing).toBe(2);
  });

  it('counts requests together as it counts them one by one, but for the rounding of moments', () => {
    const requests = Array.from({ length: 40 }, (_, at) => {
      const rows = Array.from({ length: 1 + (at % 3) }, (__, row): [number, number] => [
        Math.sin(at * 7 + row),
        row,
      ]);
      const scores = rows.map(([x]) => Math.abs(x));
      return answer(inputsOf(rows), outputsOf(scores), rows.length, at);
    });
    const together = recorder();
    together.answered(requests);
    const apart = recorder();
    for (const request of requests) apart.answered([request]);
    const [all, each] = [cut(together), cut(apart)];
    expect(exactPart(all)).toEqual(exactPart(each));
    expect(momentError(all, each)).toBeLessThan(1e-14);
  });

  it('counts the same in one batch as row by row', () => {
    const rows = Array.from({ length: 50 }, (_, at): [number, number] => [at / 50, (at % 4) + 1]);
    const scores = rows.map(([ltv]) => ltv);
    const batch = recorder();
    batch.answered([answer(inputsOf(rows), outputsOf(scores), 50, 100)]);
    const single = recorder();
    for (const [at, row] of rows.entries()) {
      single.answered([answer(inputsOf([row]), outputsOf([scores[at]]), 1, 100)]);
    }
    const [one, other] = [cut(batch), cut(single)];
    expect(one.features.map((f) => f.counts)).toEqual(other.features.map((f) => f.counts));
    expect(one.prediction.counts).toEqual(other.prediction.counts);
    expect([one.requests, other.requests, one.rows, other.rows]).toEqual([1, 50, 50, 50]);
    mergeWindow(one, other);
    expect(one.rows).toBe(100);
  });
});
