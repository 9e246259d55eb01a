import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import type { DesiredMessage, DesiredState } from '../protocol/desired.ts';
import type { Digest } from '../protocol/ids.ts';
import { MAX_WINDOW_BYTES } from '../protocol/limits.ts';
import type { EventMessage } from '../protocol/telemetry.ts';
import type { AgentConfig } from './config.ts';
import type { ModelFiles, ServingPlan, WindowMessage } from './engine/messages.ts';
import { EnginePool } from './engine/pool.ts';
import { messageOf, Refusal } from './error.ts';
import { Identity, newBoot } from './link/identity.ts';
import { Link } from './link/link.ts';
import { Outbox } from './link/outbox.ts';
import { DesiredStore, openDesired } from './rollout/desired-store.ts';
import {
  mayPass,
  planServing,
  type RefusedVersion,
  reportDeployments,
  versionsOf,
} from './rollout/serving-plan.ts';
import { ArtifactStore } from './store/artifacts.ts';

/** A download that failed for the network's sake is tried again after this, for as long as it is wanted. */
const FETCH_RETRY_MS = 2_000;

/**
 * One host's agent: link, store, outbox and engines under one roof. Never on the path of a request.
 *
 *     link ── desired ──▶ accept (verify, persist) ──▶ converge: fetch → prepare → commit ──▶ report
 *     engines ── windows ──▶ outbox (disk) ──▶ link ── ack ──▶ outbox
 */
export class Supervisor {
  readonly #config: AgentConfig;
  readonly #log: Logger;
  readonly #identity: Identity;
  readonly #outbox: Outbox;
  readonly #artifacts: ArtifactStore;
  readonly #desiredStore: DesiredStore;
  readonly #pool: EnginePool;
  readonly #link: Link | null;
  #servingUrl: string | null = null;
  #downloadToken: string | null = null;
  #desired: DesiredState | null = null;
  #serving: ServingPlan | null = null;
  #files = new Map<Digest, ModelFiles>();
  #refused = new Map<Digest, RefusedVersion>();
  /** Aborts the convergence in progress when something newer is wanted. */
  #superseded: AbortController | null = null;
  #convergence: Promise<void> = Promise.resolve();
  #accepting: Promise<void> = Promise.resolve();
  #retry: NodeJS.Timeout | null = null;
  #windowsInFlight: Promise<unknown> = Promise.resolve();
  #stopping = false;

  static async create(config: AgentConfig, log: Logger): Promise<Supervisor> {
    const identity = await Identity.load(config.dataFolder);
    const boot = newBoot();
    const outbox = await Outbox.open(join(config.dataFolder, 'outbox'), boot);
    return new Supervisor(config, log, identity, outbox, boot);
  }

  private constructor(
    config: AgentConfig,
    log: Logger,
    identity: Identity,
    outbox: Outbox,
    boot: string,
  ) {
    this.#config = config;
    this.#log = log;
    this.#identity = identity;
    this.#outbox = outbox;
    this.#artifacts = new ArtifactStore(join(config.dataFolder, 'artifacts'));
    this.#desiredStore = new DesiredStore(config.dataFolder);
    this.#pool = new EnginePool({
      engines: config.engines,
      host: config.host,
      port: config.port,
      onWindow: (window) => this.#keepWindow(window),
      onExit: (detail) => {
        log.warn({ detail }, 'engine exited');
        this.#event('engine-exited', detail);
      },
    });
    this.#link = config.controlUrl === null ? null : this.#createLink(config.controlUrl, boot);
  }

  #createLink(controlUrl: string, boot: string): Link {
    const { config, log } = { config: this.#config, log: this.#log };
    const join =
      config.joinToken === null
        ? null
        : { token: config.joinToken, name: config.name ?? hostname(), labels: config.labels };
    return new Link({
      controlUrl,
      identity: this.#identity,
      outbox: this.#outbox,
      join,
      boot,
      capabilities: {
        runtime: 'node',
        runtimeVersion: process.version,
        platform: `${process.platform}-${process.arch}`,
        cores: config.cores,
        engines: config.engines,
        providers: ['cpu'],
      },
      serving: () => this.#servingUrl,
      generation: () => this.#desired?.generation ?? 0,
      onDesired: (message) => this.#enqueueDesired(message),
      onToken: (token) => {
        this.#downloadToken = token;
      },
      onOnline: () => {
        this.#report();
        // Something may still be missing that could not be had while the control plane was away.
        if (this.#desired !== null && this.#unfinished()) this.#converge();
      },
      log: (level, message, detail) => log[level](detail ?? {}, message),
    });
  }

  /** Serves what the disk says first, then looks for the control plane. Resolves with the serving URL. */
  async start(): Promise<string> {
    const port = await this.#pool.start();
    this.#servingUrl = `http://${this.#config.host}:${port}`;
    if (this.#outbox.corruptBytes > 0) {
      this.#log.warn({ bytes: this.#outbox.corruptBytes }, 'dropped a torn record from the outbox');
    }
    await this.#restore();
    this.#link?.start();
    return this.#servingUrl;
  }

  async #restore(): Promise<void> {
    const { agent, controlKey } = this.#identity;
    if (agent === null || controlKey === null) return;
    this.#serving = null;
    const lastGood = await this.#desiredStore.loadLastGood();
    try {
      this.#desired = await this.#desiredStore.loadDesired(controlKey, agent);
    } catch (error) {
      this.#log.error({ reason: messageOf(error) }, 'the stored desired state is not genuine');
    }
    const whole = lastGood !== null && (await this.#serveLastGood(lastGood));
    if (this.#desired !== null && (!whole || this.#unfinished())) await this.#converge();
  }

  /**
   * Brings back what ran before the restart from disk alone; versions whose files have rotted are left out.
   * Resolves with whether all of it is back.
   */
  async #serveLastGood(plan: ServingPlan): Promise<boolean> {
    const never = new AbortController().signal;
    const usable = new Set<Digest>();
    for (const manifest of new Set(
      plan.deployments.flatMap((d) => d.arms.map((a) => a.manifest)),
    )) {
      try {
        this.#files.set(manifest, await this.#artifacts.ensure(manifest, null, never));
        usable.add(manifest);
      } catch (error) {
        this.#log.warn(
          { manifest, reason: messageOf(error) },
          'cannot restore a version from disk',
        );
        this.#event('artifact-corrupt', messageOf(error));
      }
    }
    const prepared = await this.#pool.prepare([...usable].flatMap((m) => this.#files.get(m) ?? []));
    for (const each of prepared) if (each.outcome === 'refused') usable.delete(each.manifest);
    const deployments = plan.deployments.flatMap((d) => {
      const arms = d.arms.filter((arm) => usable.has(arm.manifest));
      if (!arms.some((arm) => arm.arm === 'stable')) return [];
      const missing = 1 - arms.reduce((sum, arm) => sum + arm.share, 0);
      return [
        {
          ...d,
          arms: arms.map((arm, at) => (at === 0 ? { ...arm, share: arm.share + missing } : arm)),
        },
      ];
    });
    await this.#commit({ ...plan, deployments });
    const arms = (of: ServingPlan['deployments']) => of.flatMap((d) => d.arms).length;
    return arms(deployments) === arms(plan.deployments);
  }

  #unfinished(): boolean {
    const desired = this.#desired;
    if (desired === null) return false;
    if (this.#serving?.generation !== desired.generation) return true;
    return versionsOf(desired).some(
      (manifest) => !this.#files.has(manifest) && this.#isTransient(manifest),
    );
  }

  #isTransient(manifest: Digest): boolean {
    const refusal = this.#refused.get(manifest);
    return refusal === undefined || mayPass(refusal.code);
  }

  /** Desired states are accepted one after another, in the order in which they came. */
  #enqueueDesired(message: DesiredMessage): void {
    this.#accepting = this.#accepting
      .then(() => this.#accept(message))
      .catch((error: unknown) => {
        this.#log.warn({ reason: messageOf(error) }, 'desired state refused');
        this.#event('desired-refused', messageOf(error));
      });
  }

  async #accept(message: DesiredMessage): Promise<void> {
    const { agent, controlKey } = this.#identity;
    if (agent === null || controlKey === null || this.#stopping) return;
    const desired = await openDesired(message.envelope, controlKey, agent);
    const held = this.#desired?.generation ?? 0;
    if (desired.generation < held) {
      throw new Error(
        `generation ${desired.generation} is older than ${held}, which this host has accepted`,
      );
    }
    if (desired.generation === held) {
      this.#report();
      return;
    }
    if (desired.expiresAt < Date.now()) {
      throw new Error(
        `generation ${desired.generation} expired at ${new Date(desired.expiresAt).toISOString()}`,
      );
    }
    // What was refused is offered anew only by a new desired state: this one.
    this.#refused.clear();
    this.#desired = desired;
    const saved = this.#desiredStore.saveDesired(message.envelope);
    this.#converge();
    await saved;
  }

  /** Makes the engines serve what is wanted; a newer wish interrupts an older one that still downloads. */
  #converge(): Promise<void> {
    this.#superseded?.abort();
    if (this.#retry !== null) clearTimeout(this.#retry);
    const abort = new AbortController();
    this.#superseded = abort;
    this.#convergence = this.#convergence
      .then(() => this.#convergeOnce(abort.signal))
      .catch((error: unknown) => {
        this.#log.error({ reason: messageOf(error) }, 'could not converge');
        if (abort.signal.aborted || this.#stopping) return;
        this.#retry = setTimeout(() => void this.#converge(), FETCH_RETRY_MS);
      });
    return this.#convergence;
  }

  async #convergeOnce(signal: AbortSignal): Promise<void> {
    const desired = this.#desired;
    if (desired === null || signal.aborted || this.#stopping) return;
    const wanted = versionsOf(desired);
    const missing = wanted.filter((manifest) => !this.#files.has(manifest));
    if (missing.length > 0) this.#report();
    for (const manifest of missing) await this.#fetch(manifest, signal);
    if (signal.aborted) return;
    const files = wanted.flatMap((manifest) => this.#files.get(manifest) ?? []);
    for (const each of await this.#pool.prepare(files)) {
      if (each.outcome === 'refused') this.#refuse(each.manifest, each.code, each.detail);
    }
    if (signal.aborted) return;
    await this.#commit(planServing(desired, this.#refused, this.#serving));
    await this.#desiredStore.saveLastGood(this.#serving ?? { ...desired, deployments: [] });
    if (this.#unfinished()) this.#retry = setTimeout(() => void this.#converge(), FETCH_RETRY_MS);
  }

  async #fetch(manifest: Digest, signal: AbortSignal): Promise<void> {
    const url = this.#config.controlUrl;
    const token = this.#downloadToken;
    const source = url === null || token === null ? null : { url, token };
    try {
      this.#files.set(manifest, await this.#artifacts.ensure(manifest, source, signal));
      this.#refused.delete(manifest);
    } catch (error) {
      if (signal.aborted) return;
      const code = error instanceof Refusal ? error.code : 'artifact-unavailable';
      this.#refuse(manifest, code, messageOf(error));
    }
  }

  #refuse(manifest: Digest, code: RefusedVersion['code'], detail: string): void {
    const again = this.#refused.get(manifest)?.code === code;
    this.#refused.set(manifest, { code, detail });
    this.#files.delete(manifest);
    // A download is retried every two seconds, perhaps for days: said once is enough.
    if (again) return;
    this.#log.warn({ manifest, code, detail }, 'version refused');
    this.#event('version-refused', `${manifest}: ${code}: ${detail}`);
  }

  async #commit(plan: ServingPlan): Promise<void> {
    const named = new Set(plan.deployments.flatMap((d) => d.arms.map((arm) => arm.manifest)));
    const files = [...named].flatMap((manifest) => this.#files.get(manifest) ?? []);
    await this.#pool.commit(plan, files);
    this.#serving = plan;
    this.#log.info({ generation: plan.generation, deployments: plan.deployments }, 'serving plan');
    this.#report();
  }

  #report(): void {
    const desired = this.#desired;
    if (desired === null) return;
    this.#link?.send({
      kind: 'report',
      observed: desired.generation,
      applied: this.#serving?.generation ?? 0,
      at: Date.now(),
      deployments: reportDeployments(desired, this.#refused, this.#serving),
    });
  }

  #keepWindow(window: WindowMessage): void {
    const { kind: _, ...telemetry } = window;
    if (window.body.length > MAX_WINDOW_BYTES) {
      // Sent, it would break the link, and be sent again at each new one.
      const detail = `a window of ${window.body.length} bytes exceeds the ${MAX_WINDOW_BYTES} of the link: watch fewer features of "${window.deployment}"`;
      this.#log.error({ deployment: window.deployment, detail }, 'window dropped');
      this.#event('outbox-full', detail);
      return;
    }
    const droppedBefore = this.#outbox.dropped;
    const kept = this.#outbox.append(telemetry).then(
      () => {
        const dropped = this.#outbox.dropped - droppedBefore;
        if (dropped > 0) {
          this.#log.warn({ dropped }, 'the outbox is full: oldest windows dropped');
          this.#event('outbox-full', `${dropped} oldest windows dropped`);
        }
        this.#link?.flush();
      },
      (error: unknown) => this.#log.error({ reason: messageOf(error) }, 'could not keep a window'),
    );
    this.#windowsInFlight = Promise.all([this.#windowsInFlight, kept]);
  }

  #event(name: EventMessage['name'], detail: string): void {
    this.#link?.send({ kind: 'event', at: Date.now(), name, detail });
  }

  /** Windows made since the start, and those not acknowledged yet. */
  get telemetry(): { produced: number; pending: number; dropped: number } {
    const { produced, dropped } = this.#outbox;
    return { produced, pending: this.#outbox.pending.length, dropped };
  }

  /** Engines drain first, so that their last windows are on disk before the link goes. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.#superseded?.abort();
    if (this.#retry !== null) clearTimeout(this.#retry);
    await this.#pool.stop();
    await this.#windowsInFlight;
    this.#link?.stop();
    await this.#outbox.close();
  }
}
