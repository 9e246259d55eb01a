import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { type IncomingHttpHeaders, request } from 'node:http';
import { join, resolve } from 'node:path';
import type { ModelFiles, ModelToOpen, ServingPlan } from '../../agent/engine/messages.ts';
import type { EngineDeath } from '../../agent/engine/pool/engine-death.ts';
import { EnginePool, type PoolOptions } from '../../agent/engine/pool/pool.ts';
import { modelsToOpen } from '../../agent/rollout/models-to-open.ts';
import type { Serving } from '../../protocol/serving.ts';
import { temporaryFolder } from './mortgage.ts';
import { slowRequest } from './slow-model.ts';
import { until } from './stack.ts';

export interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** Real engine processes from `dist/`, under a supervisor that is this test. */
export class TestPool {
  readonly pool: EnginePool;
  readonly folder: string;
  readonly deaths: EngineDeath[] = [];
  readonly failures: string[] = [];
  port = 0;
  readonly #remove: () => Promise<void>;
  readonly #wakers: (() => void)[] = [];

  private constructor(
    folder: { path: string; remove(): Promise<void> },
    { onDeath, ...options }: Partial<PoolOptions>,
  ) {
    this.folder = folder.path;
    this.#remove = folder.remove;
    const journalFolder = join(folder.path, 'engines');
    mkdirSync(journalFolder);
    const path = resolve(import.meta.dirname, '../../dist/agent/program/main.js');
    this.pool = new EnginePool({
      engines: 1,
      hangTimeoutMs: null,
      host: '127.0.0.1',
      ports: { http: 0, grpc: null },
      program: { path, argv: [], execArgv: [], env: process.env, journalFolder },
      onWindow: () => undefined,
      onDecisions: () => undefined,
      onTrip: () => undefined,
      onDeath: (death) => {
        this.deaths.push(death);
        onDeath?.(death);
        for (const wake of this.#wakers.splice(0)) wake();
      },
      onStartFailed: (detail) => this.failures.push(detail),
      onQuestion: async () => ({ kind: 'refused', code: 'managed', message: 'not in this test' }),
      ...options,
    });
  }

  static async start(options: Partial<PoolOptions> = {}): Promise<TestPool> {
    const test = new TestPool(await temporaryFolder(), options);
    test.port = (await test.pool.start()).http ?? 0;
    return test;
  }

  /** Serves one version of each deployment, prepared on every engine. */
  async serve(
    versions: Readonly<Record<string, ModelFiles>>,
    serving: Serving = { placement: 'worker' },
  ): Promise<void> {
    const [, models] = planOf(versions, serving);
    for (const each of await this.pool.prepare(models)) {
      if (each.outcome === 'refused') throw new Error(`${each.code}: ${each.detail}`);
    }
    await this.commit(versions, serving);
  }

  /** Switches to versions that are prepared. */
  commit(
    versions: Readonly<Record<string, ModelFiles>>,
    serving: Serving = { placement: 'worker' },
  ): Promise<void> {
    return this.pool.commit(...planOf(versions, serving));
  }

  /** Resolves with the death number `count`. */
  async death(count: number): Promise<EngineDeath> {
    while (this.deaths.length < count) {
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
    return this.deaths[count - 1];
  }

  /** Resolves once this many requests wait for a model. */
  async waiting(count: number): Promise<void> {
    await until(`${count} requests to wait`, async () =>
      this.pool.waiting >= count ? true : null,
    );
  }

  /** A request on a connection of its own. */
  infer(deployment: string, size: number): Promise<Answered> {
    return this.send('POST', `/v2/models/${deployment}/infer`, slowRequest(size));
  }

  async send(
    method: string,
    path: string,
    content: { headers?: Record<string, string>; body?: Buffer } = {},
  ): Promise<Answered> {
    const { headers = {}, body } = content;
    const req = request({ port: this.port, method, path, headers, agent: false });
    req.end(body);
    const [res] = await once(req, 'response');
    let text = '';
    res.setEncoding('latin1');
    for await (const chunk of res) text += chunk;
    return { status: res.statusCode, headers: res.headers, body: text };
  }

  async stop(): Promise<void> {
    await this.pool.stop();
    await this.#remove();
  }
}

export function planOf(
  versions: Readonly<Record<string, ModelFiles>>,
  serving: Serving,
): [ServingPlan, ModelToOpen[]] {
  const plan: ServingPlan = {
    agent: `agt_${'0'.repeat(24)}`,
    generation: 1,
    deployments: Object.entries(versions).map(([name, { manifest }]) => ({
      ...{ name, serving, windowMs: 60_000 },
      arms: [{ arm: 'stable', version: 1, manifest, share: 1 }],
    })),
  };
  const byDigest = new Map(Object.values(versions).map((files) => [files.manifest, files]));
  return [plan, modelsToOpen(plan, (manifest) => byDigest.get(manifest) ?? null)];
}
