import type { DesiredState } from '../../protocol/desired.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { Monitoring } from '../../protocol/monitoring.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { ReportedPlacement } from '../../protocol/serving.ts';
import type { EventMessage } from '../../protocol/telemetry.ts';
import type { Answer, Change } from '../engine/host.ts';
import { MANAGED } from '../engine/host.ts';
import type { ModelFiles, PreparedModel, ServingPlan } from '../engine/messages.ts';
import type { EngineDeath } from '../engine/pool/engine-death.ts';
import type { EnginePool } from '../engine/pool/pool.ts';
import { tripKey } from '../engine/restraints.ts';
import { messageOf } from '../error.ts';
import type { Source } from '../store/source.ts';
import { BlameLedger, suspectOf, worthRefusing } from './blame.ts';
import type { Accepted } from './desired-gate.ts';
import { enginesWanted } from './engines-wanted.ts';
import type { IsBad } from './fallback.ts';
import { modelsToOpen, versionsIn } from './models-to-open.ts';
import {
  keepUnloaded,
  type Unloaded,
  versionsMeant,
  withoutUnloaded,
} from './repository-control.ts';
import type { RestraintDesk } from './restraint-desk.ts';
import type { ServingMemory } from './serving-memory.ts';
import { planServing, type RefusedVersion, reportDeployments, versionsOf } from './serving-plan.ts';
import { settledIn } from './settled.ts';
import { withStandby } from './standby.ts';
import type { VersionShelf } from './version-shelf.ts';

export interface ConvergenceOptions {
  readonly pool: Pick<EnginePool, 'prepare' | 'commit' | 'resize'>;
  readonly shelf: VersionShelf;
  readonly memory: ServingMemory;
  readonly restraints: Pick<
    RestraintDesk,
    'follow' | 'settle' | 'tripped' | 'everTripped' | 'evidence' | 'tripOf' | 'leaseOf'
  >;
  readonly engines: number;
  readonly cores: number;
  /** Whether clients may load and unload. */
  readonly repositoryControl: boolean;
  /** Where artifacts are fetched from; null while there is no control plane to fetch from. */
  source(): Source | null;
  onReport(report: ReportMessage): void;
  onEvent(name: EventMessage['name'], detail: string): void;
  log(level: 'info' | 'warn' | 'error', message: string, detail: object): void;
}

/** A download that failed for the network's sake is tried again after this, for as long as it is wanted. */
const FETCH_RETRY_MS = 2_000;

/**
 * Makes the engines serve what is wanted: fetch → prepare → commit → report. A newer wish interrupts an older one
 * that still downloads; wishes are carried out one after another.
 */
export class Convergence {
  readonly #options: ConvergenceOptions;
  readonly #blame = new BlameLedger();
  #desired: DesiredState | null = null;
  /** What the desired state comes to on this host; engines serve it without what clients have unloaded. */
  #planned: ServingPlan | null = null;
  #serving: ServingPlan | null = null;
  #unloaded: Unloaded = new Map();
  /** How engines run what they have opened. */
  readonly #placements = new Map<Digest, ReportedPlacement>();
  /** Aborts the convergence in progress when something newer is wanted. */
  #superseded: AbortController | null = null;
  #running: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | null = null;
  #stopping = false;

  constructor(options: ConvergenceOptions) {
    this.#options = options;
  }

  /** Highest generation accepted; 0: none. */
  get generation(): number {
    return this.#desired?.generation ?? 0;
  }

  /** Highest generation that the engines serve. */
  get applied(): number {
    return this.#serving?.generation ?? 0;
  }

  get serving(): ServingPlan | null {
    return this.#serving;
  }

  /** How a deployment is watched; null: not served here. */
  monitoringOf(deployment: string): Monitoring | null {
    const plan = this.#serving?.deployments.find(({ name }) => name === deployment);
    return plan === undefined ? null : (plan.monitoring ?? {});
  }

  /** A download that was not waited for has ended. */
  arrived(): void {
    void this.#converge();
  }

  /** Versions whose files must stay: wanted, served, and what there is to go back to. */
  get inUse(): Digest[] {
    const wanted = this.#desired === null ? [] : versionsOf(this.#desired);
    const plans = [this.#planned, this.#serving].flatMap((plan) =>
      plan === null ? [] : versionsIn(plan),
    );
    const fallbacks = [...this.#options.memory.fallbacks.values()].map((arm) => arm.manifest);
    return [...wanted, ...plans, ...fallbacks];
  }

  filesOf(manifest: Digest): ModelFiles | null {
    return this.#options.shelf.filesOf(manifest);
  }

  /** A newer desired state. Resolves when it has been carried out as far as can be. */
  want({ desired, unreleased }: Accepted): Promise<void> {
    this.#unloaded = keepUnloaded(this.#unloaded, this.#desired, desired);
    this.#options.shelf.forgive();
    this.#refuse(unreleased);
    this.#blame.clear();
    this.#desired = desired;
    this.#options.restraints.follow(desired);
    return this.#converge();
  }

  /** Brings back what ran before a restart, from disk alone, then what was wanted then. */
  async restore(lastGood: ServingPlan | null, accepted: Accepted | null): Promise<void> {
    await this.#options.memory.load();
    const desired = accepted?.desired ?? null;
    this.#desired = desired;
    if (desired !== null) this.#options.restraints.follow(desired);
    const whole = lastGood !== null && (await this.#serveLastGood(lastGood));
    if (accepted !== null) this.#refuse(accepted.unreleased);
    if (desired !== null && (!whole || this.#unfinished())) await this.#converge();
  }

  /** Nothing is installed without a release. What runs already goes on: its release may only have been replaced. */
  #refuse(unreleased: Accepted['unreleased']): void {
    for (const { deployment, manifest, code, detail } of unreleased) {
      const planned = this.#planned?.deployments.find(({ name }) => name === deployment);
      if (planned?.arms.some((arm) => arm.manifest === manifest)) continue;
      this.#options.shelf.refuse(manifest, { code, detail });
    }
  }

  /** Whether the document has expired: then what runs goes on, and nothing is installed. */
  get stale(): boolean {
    return this.#desired !== null && this.#desired.expiresAt <= Date.now();
  }

  /** Where new files come from. */
  #source(): Source | null {
    return this.stale ? null : this.#options.source();
  }

  /** Something may still be missing that could not be had while the control plane was away. */
  online(): void {
    this.report();
    if (this.#unfinished()) void this.#converge();
  }

  /** Versions whose files have rotted are left out. Resolves with whether all of it is back. */
  async #serveLastGood(plan: ServingPlan): Promise<boolean> {
    const { shelf, pool, log, onEvent } = this.#options;
    const usable = new Set<Digest>();
    for (const manifest of versionsIn(plan)) {
      try {
        await shelf.restore(manifest);
        usable.add(manifest);
      } catch (error) {
        log('warn', 'cannot restore a version from disk', { manifest, reason: messageOf(error) });
        onEvent('artifact-corrupt', messageOf(error));
      }
    }
    for (const model of modelsToOpen(plan, (each) => shelf.filesOf(each))) {
      for (const each of await pool.prepare([model])) {
        if (each.outcome === 'refused') usable.delete(each.manifest);
        else this.#placed(each);
      }
    }
    const deployments = plan.deployments.flatMap((deployment) => {
      const arms = deployment.arms.filter((arm) => usable.has(arm.manifest));
      if (!arms.some((arm) => arm.arm === 'stable')) return [];
      const missing = 1 - arms.reduce((sum, arm) => sum + arm.share, 0);
      const whole = arms.map((arm, at) =>
        at === 0 ? { ...arm, share: arm.share + missing } : arm,
      );
      const { standby, ...rest } = deployment;
      const standsBy = standby !== undefined && usable.has(standby.manifest);
      return [{ ...rest, arms: whole, ...(standsBy ? { standby } : {}) }];
    });
    await this.#commit({ ...plan, deployments });
    const arms = (of: ServingPlan['deployments']) => of.flatMap((each) => each.arms).length;
    return arms(deployments) === arms(plan.deployments);
  }

  #unfinished(): boolean {
    const desired = this.#desired;
    if (desired === null) return false;
    if (this.applied !== desired.generation) return true;
    return versionsOf(desired).some((manifest) => this.#options.shelf.mayCome(manifest));
  }

  /** Deployments whose lease is renewed with that of their document. */
  get settled(): readonly string[] {
    const { shelf, restraints } = this.#options;
    return settledIn(this.#desired, this.#planned, shelf.refused, restraints.tripped);
  }

  /** A guard has taken something back; engines know it already. What is being fetched holds up no report of it. */
  restrained(): void {
    this.report();
    void this.#converge();
  }

  #converge(): Promise<void> {
    this.#superseded?.abort();
    if (this.#retry !== null) clearTimeout(this.#retry);
    const abort = new AbortController();
    this.#superseded = abort;
    this.#running = this.#running
      .then(() => this.#convergeOnce(abort.signal))
      .catch((error: unknown) => {
        this.#options.log('error', 'could not converge', { reason: messageOf(error) });
        if (!abort.signal.aborted) this.#retryLater();
      });
    return this.#running;
  }

  #retryLater(): void {
    if (this.#stopping) return;
    this.#retry = setTimeout(() => void this.#converge(), FETCH_RETRY_MS);
  }

  async #convergeOnce(signal: AbortSignal): Promise<void> {
    const desired = this.#desired;
    if (desired === null || signal.aborted || this.#stopping) return;
    const { shelf } = this.#options;
    const wanted = versionsOf(desired);
    shelf.comeOnly(wanted);
    if (wanted.some((manifest) => shelf.filesOf(manifest) === null)) this.report();
    for (const manifest of wanted) {
      // Refused for what it is: fetching it again would find the same.
      if (shelf.mayCome(manifest)) await shelf.fetch(manifest, this.#source(), signal);
    }
    const plan = await this.#admitted(desired, signal);
    if (plan === null) return;
    await this.#commit(plan);
    // What is on its way says so when it has come: nothing is written down anew every two seconds until then.
    const missing = wanted.filter((manifest) => shelf.mayCome(manifest));
    const isOnTheWay = missing.length > 0 && missing.every((manifest) => shelf.isLate(manifest));
    if (this.#unfinished() && !isOnTheWay) this.#retryLater();
  }

  /** A plan that every engine is ready for; null when it was overtaken. Each turn refuses one more version or ends. */
  async #admitted(desired: DesiredState, signal: AbortSignal): Promise<ServingPlan | null> {
    const { shelf, memory, pool, restraints } = this.#options;
    for (;;) {
      if (signal.aborted) return null;
      const { tripped } = restraints;
      const [before, { fallbacks }] = [this.#planned, memory];
      const bare = planServing(desired, shelf.refused, before, fallbacks, tripped);
      const after = memory.fallbacksAfter(before, bare, this.#isBad, Date.now());
      const plan = withStandby(bare, after, shelf.refused, tripped);
      const refusedBefore = shelf.refused.size;
      for (const manifest of versionsIn(plan)) await shelf.fetch(manifest, this.#source(), signal);
      const models = modelsToOpen(withoutUnloaded(plan, this.#unloaded), (manifest) =>
        shelf.filesOf(manifest),
      );
      // One after another, so that an engine's death tells which.
      for (const model of models) {
        for (const each of await pool.prepare([model])) {
          if (each.outcome === 'refused') shelf.refuse(each.manifest, refusalOf(each));
          else this.#placed(each);
        }
      }
      if (signal.aborted) return null;
      if (shelf.refused.size === refusedBefore) return plan;
    }
  }

  #placed({ manifest, placement }: Extract<PreparedModel, { outcome: 'ready' }>): void {
    if (placement !== undefined) this.#placements.set(manifest, placement);
  }

  async #commit(plan: ServingPlan): Promise<void> {
    const { pool, shelf, memory, engines, cores, restraints } = this.#options;
    const served = withoutUnloaded(plan, this.#unloaded);
    await pool.commit(
      served,
      modelsToOpen(served, (manifest) => shelf.filesOf(manifest)),
    );
    const before = this.#planned;
    for (const manifest of this.#placements.keys()) {
      if (!versionsIn(plan).includes(manifest)) this.#placements.delete(manifest);
    }
    this.#planned = plan;
    this.#serving = served;
    pool.resize(enginesWanted(plan, engines, cores));
    const { generation, deployments } = served;
    this.#options.log('info', 'serving plan', { generation, deployments });
    restraints.settle(this.settled);
    this.report();
    await memory.switched(before, plan, this.#isBad, Date.now());
  }

  /** What a guard took back and somebody decided for anew since is as good as any other again. */
  readonly #isBad: IsBad = (deployment, arm) => {
    const { shelf, restraints } = this.#options;
    return shelf.refused.has(arm.manifest) || restraints.everTripped.has(tripKey(deployment, arm));
  };

  /** An engine died: a version that did it too often is refused, and another takes over. */
  died(death: EngineDeath): void {
    const { memory, shelf, onEvent } = this.#options;
    const plan = this.#serving;
    // What was being prepared is judged by `prepare` itself.
    if (plan === null || death.loading.length > 0) return;
    const suspect = suspectOf(death, plan, memory.introducedMs);
    if (suspect === null || shelf.refused.has(suspect)) return;
    const evidence = this.#blame.record(suspect, death);
    if (evidence === null || !worthRefusing(suspect, plan, memory.fallbacks)) return;
    shelf.refuse(suspect, { code: 'engine-crashed', detail: evidence });
    onEvent('fell-back', `${suspect}: ${evidence}`);
    void this.#converge();
  }

  /** Load or unload at a client's wish. Resolves when all engines have followed. */
  async change(question: Change): Promise<Answer> {
    const { kind, deployment, version } = question;
    if (!this.#options.repositoryControl) return refused('managed', `cannot ${kind}: ${MANAGED}`);
    const meant = versionsMeant(this.#desired, deployment, version);
    if (typeof meant === 'string') {
      const named = version === null ? deployment : `${deployment}, version ${version}`;
      return refused(meant, `the control plane has given this host no "${named}"`);
    }
    const out = new Set(this.#unloaded.get(deployment));
    for (const manifest of meant) {
      if (kind === 'unload') out.add(manifest);
      else out.delete(manifest);
    }
    this.#unloaded = new Map(this.#unloaded).set(deployment, out);
    await this.#converge();
    const arms = this.#serving?.deployments.find(({ name }) => name === deployment)?.arms ?? [];
    const serves = (manifest: Digest) => arms.some((arm) => arm.manifest === manifest);
    if (meant.every((manifest) => serves(manifest) === (kind === 'load'))) return { kind: 'done' };
    const why = meant.flatMap(
      (manifest) => this.#options.shelf.refused.get(manifest)?.detail ?? [],
    );
    return refused(
      'not_ready',
      `${kind} of "${deployment}" failed: ${why.join('; ') || 'see log'}`,
    );
  }

  report(): void {
    const desired = this.#desired;
    if (desired === null) return;
    const { shelf, restraints } = this.#options;
    const more = {
      tripOf: (key: string) => restraints.tripOf(key),
      leaseOf: (name: string) => restraints.leaseOf(name),
    };
    this.#options.onReport({
      kind: 'report',
      observed: desired.generation,
      applied: this.applied,
      at: Date.now(),
      stale: this.stale,
      deployments: reportDeployments(
        ...([desired, shelf.refused, this.#serving, this.#placements, more] as const),
      ),
      trips: [...restraints.evidence],
    });
  }

  stop(): void {
    this.#stopping = true;
    this.#superseded?.abort();
    this.#options.shelf.comeOnly([]);
    if (this.#retry !== null) clearTimeout(this.#retry);
  }
}

function refusalOf({
  code,
  detail,
}: Extract<PreparedModel, { outcome: 'refused' }>): RefusedVersion {
  return { code, detail };
}

function refused(code: Extract<Answer, { kind: 'refused' }>['code'], message: string): Answer {
  return { kind: 'refused', code, message };
}
