import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { buildModel } from './onnx-builder.ts';

/** Products of one call: with a matrix of `SLOW_SIZE`, seconds of one core; with one of 1×1, microseconds. */
const PRODUCTS = 60;
export const SLOW_SIZE = 1024;

const FREE = [-1, -1];

/** Writes a model that multiplies its input, a square matrix, by itself over and over. `version` tells them apart. */
export async function writeSlowModel(
  folder: string,
  name: string,
  version: number,
): Promise<ModelFiles> {
  const inputs = [{ name: 'x', datatype: 'FP32' as const, shape: FREE }];
  const outputs = [{ name: 'y', datatype: 'FP32' as const, shape: FREE }];
  const count = PRODUCTS + version;
  const nodes = Array.from({ length: count }, (_, k) => ({
    op: 'MatMul',
    inputs: [k === 0 ? 'x' : `p${k}`, 'x'],
    outputs: [k === count - 1 ? 'y' : `p${k + 1}`],
  }));
  const model = buildModel({ inputs, outputs, nodes });
  const digest = digestOf(model);
  const manifest: Manifest = {
    schema: 1,
    model: name,
    task: 'other',
    files: [{ role: 'model', digest, sizeBytes: model.length }],
    inputs,
    outputs,
    features: [],
    groups: [],
    prediction: null,
  };
  const text = JSON.stringify(manifest);
  const manifestPath = join(folder, `${name}-${version}.json`);
  const modelPath = join(folder, `${name}-${version}.onnx`);
  await writeFile(manifestPath, text);
  await writeFile(modelPath, model);
  return { manifest: digestOf(text), manifestPath, modelPath, profilePath: null, goldenPath: null };
}

/** A request for it: a matrix of zeros, `size` wide, after its JSON head. */
export function slowRequest(size: number): { headers: Record<string, string>; body: Buffer } {
  const bytes = Buffer.from(new Float32Array(size * size).buffer);
  const head = JSON.stringify({
    inputs: [
      {
        name: 'x',
        datatype: 'FP32',
        shape: [size, size],
        parameters: { binary_data_size: bytes.length },
      },
    ],
    parameters: { binary_data_output: true },
  });
  return {
    headers: { 'inference-header-content-length': String(Buffer.byteLength(head)) },
    body: Buffer.concat([Buffer.from(head), bytes]),
  };
}

function digestOf(bytes: Uint8Array | string): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
