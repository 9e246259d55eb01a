import { createHash } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Engine, type EngineOptions } from '../../agent/engine/engine.ts';
import type {
  ModelFiles,
  PlannedArm,
  PlannedDeployment,
  WindowMessage,
} from '../../agent/engine/messages.ts';
import { createNodeRuntime } from '../../agent/engine/model/runtime-node.ts';
import type { WaitingObserver } from '../../agent/engine/serve/inference.ts';
import type { Guard } from '../../protocol/guard.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import { readModelInfo } from '../../protocol/onnx/model-info.ts';
import { deploymentsOf, parsePipeline } from '../../protocol/pipeline/plan.ts';
import { executionOf, type Serving } from '../../protocol/serving.ts';
import { temporaryFolder } from './mortgage.ts';
import { buildModel, type GraphSpec } from './onnx-graph-builder.ts';

export interface Answer {
  readonly status: number;
  readonly error?: string;
  readonly code?: string;
  readonly model_version?: string;
  readonly outputs?: {
    name: string;
    datatype: string;
    shape: number[];
    data: (number | string)[];
  }[];
}

export interface Deployed {
  /** Versions by number, and what share of the traffic each has; one alone has all of it. */
  readonly versions: Readonly<Record<number, ModelFiles>>;
  readonly shares?: Readonly<Record<number, number>>;
  readonly serving?: Serving;
  readonly guard?: Guard;
}

/** A real engine on a real port that serves models and pipelines. */
export class PipelineEngine {
  readonly windows: WindowMessage[] = [];
  readonly #folder: { path: string; remove(): Promise<void> };
  readonly engine: Engine;
  url = '';
  #generation = 0;
  #files = 0;

  private constructor(
    folder: { path: string; remove(): Promise<void> },
    engine: (onWindow: (w: WindowMessage) => void) => Engine,
  ) {
    this.#folder = folder;
    this.engine = engine((window) => this.windows.push(window));
  }

  static async start(
    waiting?: WaitingObserver,
    options: Partial<EngineOptions> = {},
  ): Promise<PipelineEngine> {
    const runtime = await createNodeRuntime();
    const started = new PipelineEngine(await temporaryFolder(), (onWindow) => {
      const share = { engines: 1, cores: 2 };
      const observed = waiting === undefined ? {} : { waiting };
      return new Engine({
        runtime,
        ordinal: 0,
        version: '0',
        maxBodyBytes: 1 << 24,
        share,
        onWindow,
        ...observed,
        ...options,
      });
    });
    started.url = `http://127.0.0.1:${await started.engine.listen('127.0.0.1', 0)}`;
    return started;
  }

  model(graph: GraphSpec, fields: Partial<Manifest> = {}): Promise<ModelFiles> {
    const bytes = buildModel(graph);
    const { inputs, outputs } = readModelInfo(bytes);
    return this.#write('model', bytes, { inputs, outputs, ...fields });
  }

  pipeline(document: object, fields: Partial<Manifest> = {}): Promise<ModelFiles> {
    const bytes = new TextEncoder().encode(JSON.stringify(document));
    const plan = parsePipeline(bytes);
    const { inputs, outputs } = plan;
    return this.#write('pipeline', bytes, {
      ...{ inputs: [...inputs], outputs: [...outputs] },
      ...{ steps: deploymentsOf(plan), ...fields },
    });
  }

  async #write(
    role: 'model' | 'pipeline',
    bytes: Uint8Array,
    fields: Partial<Manifest>,
  ): Promise<ModelFiles> {
    const files = [{ role, digest: digestOf(bytes), sizeBytes: bytes.length }];
    const base = {
      schema: 1,
      model: 'm',
      task: 'other',
      features: [],
      groups: [],
      prediction: null,
    };
    const text = JSON.stringify({ ...base, files, ...fields });
    this.#files += 1;
    const path = (kind: string) => join(this.#folder.path, `${this.#files}.${kind}`);
    const [manifestPath, modelPath] = [path('json'), path(role)];
    await writeFile(manifestPath, text);
    await writeFile(modelPath, bytes);
    const manifest = digestOf(new TextEncoder().encode(text));
    return { manifest, manifestPath, modelPath, profilePath: null, goldenPath: null };
  }

  /** Prepares and commits a plan of these deployments and no others. */
  async deploy(deployments: Readonly<Record<string, Deployed | ModelFiles>>): Promise<void> {
    this.#generation += 1;
    const planned: PlannedDeployment[] = [];
    for (const [name, given] of Object.entries(deployments)) {
      const {
        versions,
        shares,
        serving = {},
        guard,
      }: Deployed = 'versions' in given ? given : { versions: { 1: given } };
      const arms: PlannedArm[] = [];
      for (const [number, files] of Object.entries(versions)) {
        const [outcome] = await this.engine.prepare([{ files, execution: executionOf(serving) }]);
        if (outcome.outcome === 'refused') throw new Error(`${outcome.code}: ${outcome.detail}`);
        const share = shares?.[Number(number)] ?? 1;
        const arm = arms.length === 0 ? ('stable' as const) : ('candidate' as const);
        arms.push({ arm, version: Number(number), manifest: files.manifest, share });
      }
      planned.push({ name, windowMs: 60_000, serving, ...(guard ? { guard } : {}), arms });
    }
    const agent = 'agt_0123456789abcdef01234567';
    this.engine.commit({ agent, generation: this.#generation, deployments: planned });
  }

  async infer(
    name: string,
    inputs: readonly object[],
    more: object = {},
    signal?: AbortSignal,
  ): Promise<Answer> {
    const response = await fetch(`${this.url}/v2/models/${name}/infer`, {
      method: 'POST',
      body: JSON.stringify({ inputs, ...more }),
      ...(signal === undefined ? {} : { signal }),
    });
    return { status: response.status, ...((await response.json()) as object) };
  }

  /** Rows answered and calls made by a deployment, over all of its versions. */
  async counted(name: string): Promise<{ rows: number; calls: number; failed: number }> {
    const response = await fetch(`${this.url}/v2/models/${name}/stats`);
    const { model_stats: stats } = (await response.json()) as {
      model_stats: {
        inference_count: number;
        execution_count: number;
        inference_stats: { fail: { count: number } };
      }[];
    };
    const sum = (of: (each: (typeof stats)[number]) => number) =>
      stats.reduce((total, each) => total + of(each), 0);
    return {
      rows: sum((each) => each.inference_count),
      calls: sum((each) => each.execution_count),
      failed: sum((each) => each.inference_stats.fail.count),
    };
  }

  async stop(): Promise<void> {
    await this.engine.stop();
    await this.#folder.remove();
  }
}

function digestOf(bytes: Uint8Array): string {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}
