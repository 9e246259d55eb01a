import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Engine, type EngineOptions } from '../../agent/engine/engine.ts';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import { createNodeRuntime } from '../../agent/engine/model/runtime-node.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { executionOf, type Serving } from '../../protocol/serving.ts';
import { temporaryFolder } from './mortgage.ts';
import { buildModel, type ModelSpec } from './onnx-builder.ts';

export interface OipEngine {
  readonly engine: Engine;
  readonly url: string;
  /** `host:port` of the same engine over gRPC. */
  readonly grpc: string;
  readonly maxBodyBytes: number;
  stop(): Promise<void>;
}

/** A real engine that serves these models, each as version 1 of a deployment of its name, run as `serving` says. */
export async function startOipEngine(
  models: Readonly<Record<string, ModelSpec>>,
  maxBodyBytes: number,
  serving: Readonly<Record<string, Serving>> = {},
  options: Partial<EngineOptions> = {},
): Promise<OipEngine> {
  const folder = await temporaryFolder();
  const files: ModelFiles[] = [];
  const names = Object.keys(models);
  for (const [name, spec] of Object.entries(models)) {
    files.push(await writeModel(folder.path, name, spec));
  }
  const engine = new Engine({
    runtime: await createNodeRuntime(),
    ordinal: 0,
    version: '0.0.0',
    maxBodyBytes,
    share: { engines: 1, cores: 1 },
    onWindow: () => undefined,
    ...options,
  });
  for (const outcome of await engine.prepare(
    files.map((each, at) => ({ files: each, execution: executionOf(serving[names[at]] ?? {}) })),
  )) {
    if (outcome.outcome === 'refused') throw new Error(`${outcome.code}: ${outcome.detail}`);
  }
  engine.commit({
    agent: 'agt_0123456789abcdef01234567',
    generation: 1,
    deployments: names.map((name, at) => ({
      name,
      windowMs: 60_000,
      serving: serving[name] ?? {},
      arms: [{ arm: 'stable', version: 1, manifest: files[at].manifest, share: 1 }],
    })),
  });
  const port = await engine.listen('127.0.0.1', 0);
  const grpcPort = await engine.listenGrpc('127.0.0.1', 0);
  return {
    engine,
    url: `http://127.0.0.1:${port}`,
    grpc: `127.0.0.1:${grpcPort}`,
    maxBodyBytes,
    async stop() {
      await engine.stop();
      await folder.remove();
    },
  };
}

async function writeModel(folder: string, name: string, spec: ModelSpec): Promise<ModelFiles> {
  const model = buildModel(spec);
  const digest = `sha256:${createHash('sha256').update(model).digest('hex')}`;
  const manifest: Manifest = {
    schema: 1,
    model: name,
    task: 'other',
    files: [{ role: 'model', digest, sizeBytes: model.length }],
    inputs: [...spec.inputs],
    outputs: [...spec.outputs],
    features: [],
    groups: [],
    prediction: null,
  };
  const text = JSON.stringify(manifest);
  const manifestPath = join(folder, `${name}.json`);
  const modelPath = join(folder, `${name}.onnx`);
  await writeFile(manifestPath, text);
  await writeFile(modelPath, model);
  const identity = `sha256:${createHash('sha256').update(text).digest('hex')}`;
  return { manifest: identity, manifestPath, modelPath, profilePath: null, goldenPath: null };
}
