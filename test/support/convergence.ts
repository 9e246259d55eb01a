import { createHash } from 'node:crypto';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import type { EnginePool } from '../../agent/engine/pool/pool.ts';
import { Convergence, type ConvergenceOptions } from '../../agent/rollout/convergence.ts';
import { DesiredStore } from '../../agent/rollout/desired-store.ts';
import { RestraintDesk } from '../../agent/rollout/restraint-desk.ts';
import { ServingMemory } from '../../agent/rollout/serving-memory.ts';
import { VersionShelf } from '../../agent/rollout/version-shelf.ts';
import { ArtifactStore } from '../../agent/store/artifacts.ts';
import type { DesiredArm, DesiredDeployment, DesiredState } from '../../protocol/desired.ts';
import type { ReportedArm, ReportMessage } from '../../protocol/report.ts';
import { TestPool } from './engine-pool.ts';
import { writeSlowModel } from './slow-model.ts';

const CORES = 4;
/** Of a test, which has less than a host. */
const PATIENCE_MS = 50;

/** Writes the versions that are on a host's disk, in their order from 1 on. */
export type WriteVersions = (folder: string) => Promise<readonly ModelFiles[]>;

const slowVersions: WriteVersions = async (folder) => [
  await writeSlowModel(folder, 'slow', 1),
  await writeSlowModel(folder, 'slow', 2),
];

/** Real engines under a real convergence, with versions of a model on its disk and no control plane. */
export class TestHost {
  readonly test: TestPool;
  readonly convergence: Convergence;
  readonly restraints: RestraintDesk;
  readonly versions: readonly ModelFiles[];
  readonly events: string[] = [];
  report: ReportMessage | null = null;
  readonly #wakers: (() => void)[] = [];
  #generation = 0;

  private constructor(
    test: TestPool,
    versions: readonly ModelFiles[],
    options: Partial<ConvergenceOptions>,
  ) {
    this.test = test;
    this.versions = versions;
    const artifacts = new ArtifactStore(join(test.folder, 'artifacts'));
    this.restraints = new RestraintDesk({
      folder: test.folder,
      restrain: (restraints) => test.pool.restrain(restraints),
      serving: () => this.convergence.serving,
      onTripped: () => this.convergence.restrained(),
      onLeases: () => this.convergence.report(),
      onLapsed: (detail) => this.events.push(detail),
      log: () => undefined,
    });
    this.convergence = new Convergence({
      pool: test.pool,
      restraints: this.restraints,
      shelf: new VersionShelf(
        artifacts,
        (manifest, { code }) => this.events.push(`${code} ${manifest}`),
        { patienceMs: PATIENCE_MS, onLate: () => this.convergence.arrived() },
      ),
      memory: new ServingMemory(new DesiredStore(test.folder)),
      ...{ engines: 1, cores: CORES, repositoryControl: false },
      source: () => null,
      onReport: (report) => {
        this.report = report;
        for (const wake of this.#wakers.splice(0)) wake();
      },
      onEvent: (name) => this.events.push(name),
      log: () => undefined,
      ...options,
    });
  }

  static async start(
    options: Partial<ConvergenceOptions> = {},
    write: WriteVersions = slowVersions,
  ): Promise<TestHost> {
    let host: TestHost | null = null;
    const test = await TestPool.start({
      engines: options.engines ?? 1,
      onTrip: (trip) => host?.restraints.took(trip),
      onDeath: (death) => host?.convergence.died(death),
      onQuestion: async (question) =>
        host === null || question.kind === 'feedback'
          ? { kind: 'refused', code: 'not_ready', message: 'starting' }
          : host.convergence.change(question),
    });
    const versions = await write(test.folder);
    for (const files of versions) await shelve(test.folder, files);
    host = new TestHost(test, versions, options);
    return host;
  }

  get pool(): EnginePool {
    return this.test.pool;
  }

  /** A new desired state of the deployment `slow`. Resolves when it has been carried out. */
  want(
    arms: readonly Pick<DesiredArm, 'arm' | 'version' | 'share' | 'decidedAt'>[],
    engines?: number,
    more: Partial<DesiredDeployment> = {},
  ): Promise<void> {
    this.#generation += 1;
    const desired: DesiredState = {
      ...{
        agent: `agt_${'0'.repeat(24)}`,
        generation: this.#generation,
        issuedAt: 0,
        expiresAt: 1,
      },
      deployments: [
        {
          ...{
            name: 'slow',
            windowMs: 60_000,
            serving: { placement: 'worker', engines },
            monitoring: {},
          },
          ...more,
          arms: arms.map((arm) => ({
            ...arm,
            model: 'slow',
            manifest: this.versions[arm.version - 1].manifest,
          })),
        },
      ],
    };
    return this.convergence.want({ desired, unreleased: [] });
  }

  /** What the newest report says of the deployment, once it says of this version that it is in this state. */
  async reported(version: number, state: ReportedArm['state']): Promise<readonly ReportedArm[]> {
    for (;;) {
      const arms = this.report?.deployments[0]?.arms ?? [];
      if (arms.some((arm) => arm.version === version && arm.state === state)) return arms;
      await new Promise<void>((resolve) => this.#wakers.push(resolve));
    }
  }

  /** Takes a version off its disk. */
  async forget({ manifestPath, modelPath }: ModelFiles): Promise<void> {
    for (const path of [manifestPath, modelPath]) await rm(await shelved(this.test.folder, path));
  }

  async stop(): Promise<void> {
    this.convergence.stop();
    await this.test.stop();
  }
}

/** Puts a version's files where the artifact store looks for them. */
async function shelve(folder: string, { manifestPath, modelPath }: ModelFiles): Promise<void> {
  for (const path of [manifestPath, modelPath]) {
    const to = await shelved(folder, path);
    await mkdir(dirname(to), { recursive: true });
    await copyFile(path, to);
  }
}

/** Where the artifact store has a copy of this file. */
async function shelved(folder: string, path: string): Promise<string> {
  const hex = createHash('sha256')
    .update(await readFile(path))
    .digest('hex');
  return join(folder, 'artifacts', 'sha256', hex.slice(0, 2), hex);
}
