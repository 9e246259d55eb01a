import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_INFER_BODY_BYTES } from '../../../protocol/limits.ts';
import type { TensorSpec } from '../../../protocol/tensor.ts';
import { TEST_MODELS } from '../../contract/oip/models.ts';
import { startOipEngine } from '../../support/oip-engine.ts';
import { buildModel, identityModel, type ModelSpec } from '../../support/onnx-builder.ts';

const integers = (name: string): TensorSpec => ({ name, datatype: 'INT32', shape: [-1, 16] });

/** Triton's `simple` example, with as many rows as one likes. */
const SIMPLE: ModelSpec = {
  inputs: [integers('INPUT0'), integers('INPUT1')],
  outputs: [integers('OUTPUT0'), integers('OUTPUT1')],
  nodes: [
    { op: 'Add', inputs: ['INPUT0', 'INPUT1'], outputs: ['OUTPUT0'] },
    { op: 'Sub', inputs: ['INPUT0', 'INPUT1'], outputs: ['OUTPUT1'] },
  ],
};

/** Transcendental functions: the last bit shows whose kernels computed them. */
const CURVE: ModelSpec = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 5] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 5] }],
  nodes: [
    { op: 'Erf', inputs: ['x'], outputs: ['erf'] },
    { op: 'Softmax', inputs: ['x'], outputs: ['soft'], attributes: { axis: 1 } },
    { op: 'Mul', inputs: ['erf', 'soft'], outputs: ['y'] },
  ],
};

const MODELS: Readonly<Record<string, ModelSpec>> = {
  ...Object.fromEntries(
    Object.entries(TEST_MODELS).map(([name, inputs]) => [name, identityModel(inputs)]),
  ),
  simple: SIMPLE,
  curve: CURVE,
  batched: identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, 3] }]),
};

export interface ServedModels {
  /** `host:port` over HTTP and over gRPC. */
  readonly http: string;
  readonly grpc: string;
  /** Where `{name}.onnx` of each served model lies. */
  readonly folder: string;
  stop(): Promise<void>;
}

/** An engine that serves what the Python checks ask for; `batched` waits 200 ms for up to 8 rows. */
export async function serveModels(): Promise<ServedModels> {
  const folder = await mkdtemp(join(tmpdir(), 'driftline-interop-'));
  for (const [name, spec] of Object.entries(MODELS)) {
    await writeFile(join(folder, `${name}.onnx`), buildModel(spec));
  }
  const engine = await startOipEngine(MODELS, MAX_INFER_BODY_BYTES, {
    batched: { batching: { maxBatchSize: 8, maxQueueDelayUs: 200_000 } },
  });
  return {
    http: new URL(engine.url).host,
    grpc: engine.grpc,
    folder,
    async stop() {
      await engine.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
