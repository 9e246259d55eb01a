import type { Tensor } from '../../agent/engine/model/runtime.ts';
import type { Answered } from '../../agent/engine/observe/recorder.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { outcomeGridOf } from '../../protocol/outcome-grid.ts';
import { gridFromReference, uniformGrid } from '../../protocol/sketch/grid.ts';
import type { WindowGrids } from '../../protocol/sketch/window.ts';
import { seeded } from '../../test/support/random-models.ts';
import { TINY_FEATURES } from './models.ts';

/**
 * Answered requests of `tiny` (16 inputs, 2 outputs) as a host records them: all inputs and the score on bins of a
 * reference, and a group of two attributes' worth of cells for fairness.
 */

const REFERENCE_ROWS = 20_000;
const SCORE_BINS = 64;

export const MANIFEST: Manifest = {
  schema: 1,
  model: 'tiny',
  task: 'binary',
  files: [{ role: 'model', digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 1 }],
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, TINY_FEATURES] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
  features: Array.from({ length: TINY_FEATURES }, (_, index) => ({
    ...{ name: `f${index}`, tensor: 'x', index, kind: 'numeric' as const },
  })),
  groups: [{ attribute: 'sex', from: 'parameter', values: ['f', 'm'] }],
  prediction: { tensor: 'y', index: 1, kind: 'score', threshold: 0.5 },
};

/** By turns normal, lognormal, whole numbers, and half zeros: as a table's columns are. */
export function drawValue(column: number, random: () => number): number {
  const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
  switch (column % 4) {
    case 0:
      return Math.fround(normal);
    case 1:
      return Math.fround(Math.exp(normal));
    case 2:
      return Math.round(20 + 5 * normal);
    default:
      return random() < 0.5 ? 0 : Math.fround(Math.abs(100 * normal));
  }
}

/** Bins of a reference of 20,000 rows for each column, and 64 for the score. */
export function recordedGrids(): WindowGrids {
  const random = seeded(1);
  return {
    features: MANIFEST.features.map((_, column) => ({
      kind: 'numeric',
      ...gridFromReference(
        Float64Array.from({ length: REFERENCE_ROWS }, () => drawValue(column, random)),
      ),
    })),
    prediction: { kind: 'numeric', ...uniformGrid(0, 1, SCORE_BINS) },
    outcome: outcomeGridOf(MANIFEST, null),
  };
}

/** One-row requests with their answers. */
export function answeredRequests(count: number): Answered[] {
  const random = seeded(2);
  return Array.from({ length: count }, (_, at) => {
    const data = Float32Array.from({ length: TINY_FEATURES }, (_, k) => drawValue(k, random));
    const score = Math.fround(1 / (1 + Math.exp(-data[0] - 0.1 * data[4])));
    const x: Tensor = { datatype: 'FP32', shape: [1, TINY_FEATURES], data };
    const y: Tensor = { datatype: 'FP32', shape: [1, 2], data: Float32Array.of(1 - score, score) };
    return {
      inputs: new Map([['x', x]]),
      outputs: new Map([['y', y]]),
      rows: 1,
      latencyUs: 100 + 50 * random(),
      gaps: null,
      parameters: { 'group.sex': at % 2 === 0 ? 'f' : 'm' },
    };
  });
}
