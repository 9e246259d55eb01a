import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Engine, type EngineOptions } from '../../agent/engine/engine.ts';
import type { ModelFiles, ServingPlan, WindowMessage } from '../../agent/engine/messages.ts';
import { createNodeRuntime } from '../../agent/engine/model/runtime-node.ts';
import { LabelDesk } from '../../agent/labels/label-desk.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Monitoring } from '../../protocol/monitoring.ts';
import { executionOf } from '../../protocol/serving.ts';
import { temporaryFolder } from './mortgage.ts';
import { buildModel, type ModelSpec } from './onnx-builder.ts';

export interface WatchedModel {
  readonly spec: ModelSpec;
  readonly manifest: Partial<Manifest>;
  readonly monitoring?: Monitoring;
  /** Default: a minute, so that no window is cut before the engine stops. */
  readonly windowMs?: number;
}

/** A real engine over HTTP beside a real label desk on disk, in one process, without a control plane. */
export interface LabelHost {
  readonly url: string;
  readonly desk: LabelDesk;
  readonly engine: Engine;
  /** Of engine and desk, in the order in which they came. */
  readonly windows: readonly WindowMessage[];
  /** Has the desk remember every row that was answered, without waiting for the engine's timer. */
  remember(): void;
  stop(): Promise<void>;
}

export async function startLabelHost(
  models: Readonly<Record<string, WatchedModel>>,
  options: Partial<EngineOptions> = {},
): Promise<LabelHost> {
  const folder = await temporaryFolder();
  const windows: WindowMessage[] = [];
  const desk = new LabelDesk({
    folder: join(folder.path, 'labels'),
    monitoringOf: (name) => (name in models ? (models[name].monitoring ?? {}) : null),
    onWindow: (window) => windows.push(window),
    onDrift: () => undefined,
    log: (_, message, detail) => {
      throw new Error(message, { cause: detail });
    },
  });
  await desk.start();
  const files: ModelFiles[] = [];
  for (const [name, model] of Object.entries(models)) {
    files.push(await writeModel(folder.path, name, model));
  }
  const engine = new Engine({
    ...{ runtime: await createNodeRuntime(), ordinal: 0, version: '0.0.0' },
    ...{ maxBodyBytes: 1024 * 1024, share: { engines: 1, cores: 1 } },
    onWindow: (window) => windows.push(window),
    onDecisions: (batch) => desk.decided(batch),
    host: {
      ask: async (question) => {
        if (question.kind !== 'feedback') throw new Error(`nobody answers "${question.kind}"`);
        return desk.feedback(question.deployment, question.labels);
      },
    },
    ...options,
  });
  const execution = executionOf({});
  for (const outcome of await engine.prepare(files.map((each) => ({ files: each, execution })))) {
    if (outcome.outcome === 'refused') throw new Error(`${outcome.code}: ${outcome.detail}`);
  }
  const plan = planOf(models, files);
  engine.commit(plan);
  const port = await engine.listen('127.0.0.1', 0);
  return {
    ...{ url: `http://127.0.0.1:${port}`, desk, engine, windows },
    // What is committed anew is what was served: only what had been answered is handed on.
    remember: () => engine.commit(plan),
    async stop() {
      await engine.stop();
      await desk.stop();
      await folder.remove();
    },
  };
}

function planOf(
  models: Readonly<Record<string, WatchedModel>>,
  files: readonly ModelFiles[],
): ServingPlan {
  return {
    agent: 'agt_0123456789abcdef01234567',
    generation: 1,
    deployments: Object.entries(models).map(
      ([name, { monitoring = {}, windowMs = 60_000 }], at) => ({
        ...{ name, windowMs, serving: {}, monitoring },
        arms: [{ arm: 'stable', version: 1, manifest: files[at].manifest, share: 1 }],
      }),
    ),
  };
}

async function writeModel(
  folder: string,
  name: string,
  { spec, manifest: watched }: WatchedModel,
): Promise<ModelFiles> {
  const model = buildModel(spec);
  const digestOf = (bytes: Uint8Array | string) =>
    `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const manifest: Manifest = {
    ...{ schema: 1, model: name, task: 'other' },
    files: [{ role: 'model', digest: digestOf(model), sizeBytes: model.length }],
    ...{ inputs: [...spec.inputs], outputs: [...spec.outputs] },
    ...{ features: [], groups: [], prediction: null },
    ...watched,
  };
  const text = JSON.stringify(manifest);
  const [manifestPath, modelPath] = [join(folder, `${name}.json`), join(folder, `${name}.onnx`)];
  await writeFile(manifestPath, text);
  await writeFile(modelPath, model);
  return {
    ...{ manifest: digestOf(text), manifestPath, modelPath },
    ...{ profilePath: null, goldenPath: null },
  };
}
