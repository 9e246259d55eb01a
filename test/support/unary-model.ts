import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { buildModel } from './onnx-builder.ts';

/** `Abs` is good; `Log` of the same is as good for what is above 0, and NaN for what is below. */
export type UnaryOperator = 'Abs' | 'Log' | 'Sqrt' | 'Neg';

const TENSOR = { datatype: 'FP32' as const, shape: [-1, 1] };

/** Writes a version that answers one number with another. */
export async function writeUnaryModel(
  folder: string,
  name: string,
  version: number,
  op: UnaryOperator,
): Promise<ModelFiles> {
  const inputs = [{ name: 'x', ...TENSOR }];
  const outputs = [{ name: 'y', ...TENSOR }];
  const nodes = [{ op, inputs: ['x'], outputs: ['y'] }];
  const model = buildModel({ inputs, outputs, nodes });
  const manifest: Manifest = {
    ...{ schema: 1, model: name, task: 'other', inputs, outputs },
    files: [{ role: 'model', digest: digestOf(model), sizeBytes: model.length }],
    ...{ features: [], groups: [], prediction: null },
  };
  const text = JSON.stringify(manifest);
  const manifestPath = join(folder, `${name}-${version}.json`);
  const modelPath = join(folder, `${name}-${version}.onnx`);
  await writeFile(manifestPath, text);
  await writeFile(modelPath, model);
  return { manifest: digestOf(text), manifestPath, modelPath, profilePath: null, goldenPath: null };
}

/** What asks it for these numbers. With `binary` a NaN can be answered, where JSON has no word for it. */
export function unaryRequest(values: readonly number[], binary = false): Buffer {
  const input = { name: 'x', datatype: 'FP32', shape: [values.length, 1], data: values };
  const parameters = binary ? { binary_data_output: true } : {};
  return Buffer.from(JSON.stringify({ inputs: [input], parameters }));
}

function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
