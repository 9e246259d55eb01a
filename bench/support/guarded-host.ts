import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { join, resolve } from 'node:path';
import type { ModelFiles, ModelToOpen, ServingPlan } from '../../agent/engine/messages.ts';
import { EnginePool } from '../../agent/engine/pool/pool.ts';
import { RestraintDesk } from '../../agent/rollout/restraint-desk.ts';
import { unaryRequest, writeUnaryModel } from '../../test/support/unary-model.ts';

const AGENT = `agt_${'0'.repeat(24)}`;

/** Real engine processes with a guarded version and the one before it, and the disk that a trip is written to. */
export class GuardedHost {
  readonly #pool: EnginePool;
  readonly #desk: RestraintDesk;
  readonly #models: readonly ModelToOpen[];
  readonly #connections = new Set<Agent>();
  #plan: ServingPlan | null = null;
  #port = 0;
  #decision = 0;
  #onDisk: () => void = () => undefined;

  private constructor(folder: string, engines: number, files: readonly ModelFiles[]) {
    this.#models = files.map((each) => ({ files: each, execution: {} }));
    const path = resolve(import.meta.dirname, '../../agent/main.js');
    this.#desk = new RestraintDesk({
      folder,
      restrain: (restraints) => this.#pool.restrain(restraints),
      serving: () => this.#plan,
      onTripped: () => this.#onDisk(),
      onLeases: () => undefined,
      onLapsed: () => undefined,
      log: () => undefined,
    });
    this.#pool = new EnginePool({
      ...{ engines, hangTimeoutMs: null, host: '127.0.0.1', ports: { http: 0, grpc: null } },
      program: {
        ...{ path, argv: [], execArgv: [], env: process.env },
        journalFolder: join(folder, 'engines'),
      },
      onTrip: (trip) => this.#desk.took(trip),
      onWindow: () => undefined,
      onDecisions: () => undefined,
      onDeath: ({ cause }) => {
        throw new Error(`an engine died: ${cause}`);
      },
      onStartFailed: (detail) => {
        throw new Error(detail);
      },
      onQuestion: async () => ({ kind: 'refused', code: 'managed', message: 'not here' }),
    });
  }

  static async start(folder: string, engines: number): Promise<GuardedHost> {
    await mkdir(join(folder, 'engines'), { recursive: true });
    const good = await writeUnaryModel(folder, 'guarded', 1, 'Abs');
    const bad = await writeUnaryModel(folder, 'guarded', 2, 'Log');
    const host = new GuardedHost(folder, engines, [good, bad]);
    host.#port = (await host.#pool.start()).http ?? 0;
    await host.#pool.prepare(host.#models);
    return host;
  }

  /** Decides anew that version 2 serves, guarded against any NaN. Resolves when every engine serves it. */
  async decide(): Promise<void> {
    this.#decision += 1;
    const [good, bad] = this.#models.map(({ files }) => files.manifest);
    const decidedAt = this.#decision;
    const arm = { arm: 'stable' as const, decidedAt };
    this.#plan = {
      agent: AGENT,
      generation: decidedAt,
      deployments: [
        {
          ...{ name: 'guarded', windowMs: 60_000, serving: {}, guard: { maxNonFinite: 0 } },
          arms: [{ ...arm, version: 2, manifest: bad, share: 1 }],
          standby: { ...arm, version: 1, manifest: good, share: 0 },
        },
      ],
    };
    await this.#pool.commit(this.#plan, this.#models);
  }

  /** Resolves when the next trip is on the disk. */
  onDisk(): Promise<void> {
    return new Promise((resolve_) => {
      this.#onDisk = resolve_;
    });
  }

  /** A connection that stays with one engine; those that are opened one after another go round. */
  connect(): (value: number) => Promise<number> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    this.#connections.add(agent);
    return async (value) => {
      const path = '/v2/models/guarded/infer';
      const req = request({ port: this.#port, method: 'POST', path, agent });
      req.end(unaryRequest([value], true));
      const [res] = await once(req, 'response');
      let text = '';
      for await (const chunk of res) text += chunk.toString('latin1');
      return Number(/"model_version":"(\d+)"/.exec(text)?.[1]);
    };
  }

  async stop(): Promise<void> {
    for (const each of this.#connections) each.destroy();
    await this.#pool.stop();
    await this.#desk.stop();
  }
}
