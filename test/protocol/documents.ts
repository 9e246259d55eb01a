import type { Manifest } from '../../protocol/manifest.ts';
import type { ModelInfo } from '../../protocol/onnx/model-info.ts';
import { windowGrids } from '../../protocol/profile.ts';
import { emptyWindow } from '../../protocol/sketch/window.ts';

/** A version as documents: the manifest of a model with ten inputs and a score, and what the model says. */
export function manifestOf(fields: Partial<Manifest> = {}): Manifest {
  return {
    schema: 1,
    model: 'mortgage',
    task: 'binary',
    files: [{ role: 'model', digest: `sha256:${'1'.repeat(64)}`, sizeBytes: 100 }],
    inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 10] }],
    outputs: [
      { name: 'label', datatype: 'INT64', shape: [-1] },
      { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
    ],
    features: [
      { name: 'loan_to_value', tensor: 'features', index: 2, kind: 'numeric' },
      { name: 'score_class', tensor: 'features', index: 3, kind: 'categorical' },
    ],
    groups: [],
    prediction: { tensor: 'probabilities', index: 1, kind: 'score', threshold: 0.5 },
    ...fields,
  };
}

export function infoOf(manifest: Manifest): ModelInfo {
  const { inputs, outputs } = manifestOf();
  return {
    irVersion: 8,
    producer: manifest.model,
    opsets: new Map(),
    inputs,
    outputs,
    nodeCount: 1,
  };
}

/** A profile of that version over an empty baseline, on the grids given. */
export function profileOf(manifest: Manifest) {
  const features = [
    { name: 'loan_to_value', grid: { kind: 'numeric' as const, edges: Float64Array.of(0.5, 0.8) } },
    { name: 'score_class', grid: { kind: 'categorical' as const, values: [1, 2, 3] } },
  ];
  const { prediction } = windowGrids(manifest, null);
  const reference = emptyWindow({ features: features.map(({ grid }) => grid), prediction });
  return { rows: 10, features, prediction, outcome: null, tensors: [], reference };
}
