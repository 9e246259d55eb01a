import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFiles } from '../../../../agent/engine/messages.ts';
import {
  DEFAULT_TOLERANCE,
  type Golden,
  goldenTensor,
} from '../../../../agent/engine/model/golden.ts';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import { readModelInfo } from '../../../../protocol/onnx/model-info.ts';

/** Writes a model with its manifest, and golden vectors made by running `inputs`, where there are some. */
export async function describeModel(
  folder: string,
  name: string,
  model: Uint8Array,
  inputs: ReadonlyMap<string, Tensor> | null,
  change: (golden: Golden) => void = () => undefined,
): Promise<ModelFiles> {
  const path = (suffix: string) => join(folder, `${name}.${suffix}`);
  const info = readModelInfo(model);
  const digest = `sha256:${'0'.repeat(64)}`;
  const manifest = {
    schema: 1,
    model: 'test',
    task: 'other',
    files: [{ role: 'model', digest, sizeBytes: model.length }],
    inputs: info.inputs,
    outputs: info.outputs,
    features: [],
    groups: [],
    prediction: null,
  };
  await writeFile(path('onnx'), model);
  await writeFile(path('manifest.json'), JSON.stringify(manifest));
  if (inputs !== null) {
    const golden = await goldenOf(model, inputs);
    change(golden);
    await writeFile(path('golden.json'), JSON.stringify(golden));
  }
  return {
    manifest: digest,
    manifestPath: path('manifest.json'),
    modelPath: path('onnx'),
    profilePath: null,
    goldenPath: inputs === null ? null : path('golden.json'),
  };
}

async function goldenOf(model: Uint8Array, inputs: ReadonlyMap<string, Tensor>): Promise<Golden> {
  const session = await (await createNodeRuntime()).open(model);
  const outputs = await session.run(inputs);
  await session.release();
  const tensors = (map: ReadonlyMap<string, Tensor>) =>
    [...map].map(([name, tensor]) => goldenTensor(name, tensor));
  return {
    schema: 1,
    tolerance: DEFAULT_TOLERANCE,
    inputs: tensors(inputs),
    outputs: tensors(outputs),
  };
}
