import { mkdirSync } from 'node:fs';
import { globalAgent } from 'node:https';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Logger } from 'pino';
import { fingerprintOf } from '../protocol/signing.ts';
import type { EventMessage } from '../protocol/telemetry.ts';
import { Accounts } from './accounts.ts';
import { type About, commandsOf } from './command/host-commands.ts';
import { LogSwitch } from './command/log-switch.ts';
import type { CommandRunner } from './command/run-command.ts';
import type { AgentConfig } from './config.ts';
import type { EngineDeath } from './engine/pool/engine-death.ts';
import type { EngineProgram } from './engine/pool/engine-process.ts';
import { EnginePool } from './engine/pool/pool.ts';
import { messageOf } from './error.ts';
import { LabelDesk } from './labels/label-desk.ts';
import { nodeCapabilities } from './link/capabilities.ts';
import { EgressLedger } from './link/egress.ts';
import { type Identity, newBoot } from './link/identity.ts';
import { loadIdentity } from './link/identity-file.ts';
import { Link } from './link/link.ts';
import { openSocket } from './link/node-socket.ts';
import { Outbox } from './link/outbox.ts';
import { loadTrust } from './link/root-file.ts';
import type { TrustStore } from './link/trust-store.ts';
import { WindowKeeper } from './link/window-keeper.ts';
import { type AgentFigures, renderMetrics } from './metrics/exposition.ts';
import { ownFigures } from './metrics/own-figures.ts';
import { MetricsServer } from './metrics/server.ts';
import { type ModelShelf, openShelf } from './model-shelf.ts';
import { Convergence } from './rollout/convergence.ts';
import { type Accepted, DesiredGate } from './rollout/desired-gate.ts';
import { DesiredStore } from './rollout/desired-store.ts';
import { DocumentQueue } from './rollout/document-queue.ts';
import { ExpiryWatch } from './rollout/expiry-watch.ts';
import { RestraintDesk } from './rollout/restraint-desk.ts';
import { ServingMemory } from './rollout/serving-memory.ts';
import { Withholding } from './rollout/withholding.ts';

/** Where the agent answers; null: not served. */
export interface ServingUrls {
  readonly url: string;
  readonly grpc: string | null;
  readonly metrics: string | null;
}

/** What was read from the data folder, and what it is. */
interface Opened {
  readonly identity: Identity;
  readonly trust: TrustStore;
  readonly outbox: Outbox;
  readonly ledger: EgressLedger;
  readonly boot: string;
  readonly about: About;
}

/**
 * One host's agent: link, store, outbox and engines under one roof. Accepts connections and hands them on; what is
 * said on them it never sees.
 *
 *     link ── desired ──▶ accept (verify, persist) ──▶ convergence: fetch → prepare → commit ──▶ report
 *     engines ── windows ──▶ window keeper ──▶ outbox (disk) ──▶ link ── ack ──▶ outbox
 *     engines ── answered rows, labels ──▶ label desk (disk) ── windows of labels ──▶ window keeper
 *     engines ── deaths ──▶ convergence ── refused version ──▶ report
 *     engines ── guard tripped ──▶ restraint desk (disk) ──▶ engines, convergence ──▶ report
 *     link ── lease ──▶ restraint desk (disk) ── lapsed ──▶ engines, report
 */
export class Supervisor {
  readonly #config: AgentConfig;
  readonly #log: Logger;
  readonly #identity: Identity;
  readonly #outbox: Outbox;
  readonly #ledger: EgressLedger;
  readonly #accounts: Accounts;
  readonly #windows: WindowKeeper;
  readonly #labels: LabelDesk;
  readonly #desiredStore: DesiredStore;
  readonly #trust: TrustStore;
  readonly #gate: DesiredGate;
  readonly #expiry: ExpiryWatch;
  readonly #withholding = new Withholding();
  readonly #pool: EnginePool;
  readonly #restraints: RestraintDesk;
  readonly #models: ModelShelf;
  readonly #convergence: Convergence;
  readonly #documents: DocumentQueue;
  readonly #commands: CommandRunner;
  readonly #logSwitch: LogSwitch;
  readonly #link: Link | null;
  #metrics: MetricsServer | null = null;
  #servingUrl: string | null = null;
  #downloadToken: string | null = null;

  static async create(
    config: AgentConfig,
    program: Omit<EngineProgram, 'journalFolder'>,
    log: Logger,
    about: About,
  ): Promise<Supervisor> {
    const identity = await loadIdentity(config.dataFolder);
    log.info({ fingerprint: await fingerprintOf(identity.key.publicKey) }, 'identity');
    // Downloads go by the global agent. Nothing else of this process speaks TLS, and engines are processes of their own.
    if (config.ca !== null) globalAgent.options.ca = config.ca;
    const boot = newBoot();
    const outbox = await Outbox.open({
      folder: join(config.dataFolder, 'outbox'),
      boot,
      onFailure: (error) => log.error({ reason: messageOf(error) }, 'windows wait for the disk'),
    });
    const ledger = await EgressLedger.open(config.dataFolder, Date.now());
    const journalFolder = join(config.dataFolder, 'engines');
    mkdirSync(journalFolder, { recursive: true, mode: 0o700 });
    const trust = await loadTrust(config.dataFolder);
    return new Supervisor(config, { ...program, journalFolder }, log, {
      identity,
      trust,
      outbox,
      ledger,
      boot,
      about,
    });
  }

  private constructor(
    config: AgentConfig,
    program: EngineProgram,
    log: Logger,
    { identity, trust, outbox, ledger, boot, about }: Opened,
  ) {
    this.#config = config;
    this.#log = log;
    this.#identity = identity;
    this.#outbox = outbox;
    this.#ledger = ledger;
    this.#trust = trust;
    this.#desiredStore = new DesiredStore(config.dataFolder);
    this.#gate = new DesiredGate({
      store: this.#desiredStore,
      trust,
      agent: () => identity.agent,
      labels: config.labels,
    });
    this.#expiry = new ExpiryWatch((detail) => {
      log.error({ detail }, 'stale');
      this.#event('stale', detail);
      this.#convergence.report();
    });
    this.#windows = new WindowKeeper({
      outbox,
      clockAheadMs: () => this.#link?.clockAheadMs ?? null,
      withholds: (deployment) => this.#withholding.keeps(deployment),
      onDue: () => this.#link?.flush(),
      onLost: (detail) => {
        log.warn({ detail }, 'windows lost');
        this.#event('outbox-full', detail);
      },
      onCoarsened: (detail) => {
        log.info({ detail }, 'the outbox is full');
        this.#event('outbox-coarsened', detail);
      },
      log: (level, message, detail) => log[level](detail, message),
    });
    this.#labels = new LabelDesk({
      folder: join(config.dataFolder, 'decisions'),
      monitoringOf: (deployment) => this.#convergence.monitoringOf(deployment),
      onWindow: (window) => this.#windows.keep(window),
      onDrift: (detail) => {
        log.warn({ detail }, 'concept drift');
        this.#event('concept-drift', detail);
      },
      log: (level, message, detail) => log[level](detail, message),
    });
    this.#pool = this.#createPool(program);
    this.#restraints = this.#createRestraints();
    this.#models = this.#openShelf();
    this.#convergence = this.#createConvergence();
    this.#documents = new DocumentQueue({
      gate: this.#gate,
      convergence: this.#convergence,
      restraints: this.#restraints,
      expiry: this.#expiry,
      withholding: this.#withholding,
      onEvent: (name, detail) => this.#event(name, detail),
      log: (level, message, detail) => log[level](detail, message),
    });
    this.#accounts = new Accounts({
      ledger,
      pool: this.#pool,
      outbox: () => this.telemetry,
      clockAheadMs: () => this.#link?.clockAheadMs ?? null,
      send: (message) => this.#link?.send(message),
      onFailure: (reason) => log.warn({ reason }, 'could not write down what left this host'),
    });
    this.#logSwitch = new LogSwitch(log);
    this.#commands = commandsOf({
      ...{ config, about, log, identity, ledger, logSwitch: this.#logSwitch, labels: this.#labels },
      ...{ pool: this.#pool, convergence: this.#convergence, outbox: () => this.telemetry },
    });
    this.#link = config.controlUrl === null ? null : this.#createLink(config.controlUrl, boot);
  }

  #createPool(program: EngineProgram): EnginePool {
    const { engines, host, port, grpcPort, hangTimeoutMs } = this.#config;
    return new EnginePool({
      engines,
      host,
      ports: { http: port, grpc: grpcPort },
      program,
      hangTimeoutMs,
      onWindow: (window) => this.#windows.keep(window),
      onDecisions: (batch) => this.#labels.decided(batch),
      onTrip: (trip) => this.#restraints.took(trip),
      onDeath: (death) => this.#engineDied(death),
      onStartFailed: (detail) => {
        this.#log.warn({ detail }, 'engine not started');
        this.#event('engine-exited', detail);
      },
      onQuestion: (question) =>
        question.kind === 'feedback'
          ? this.#labels.feedback(question.deployment, question.labels)
          : this.#convergence.change(question),
    });
  }

  #createRestraints(): RestraintDesk {
    return new RestraintDesk({
      folder: this.#config.dataFolder,
      restrain: (restraints) => this.#pool.restrain(restraints),
      serving: () => this.#convergence.serving,
      onTripped: () => this.#convergence.restrained(),
      onLeases: () => this.#convergence.report(),
      onLapsed: (detail) => this.#event('lease-lapsed', detail),
      log: (level, message, detail) => this.#log[level](detail, message),
    });
  }

  #openShelf(): ModelShelf {
    const { config, log } = { config: this.#config, log: this.#log };
    return openShelf({
      folder: join(config.dataFolder, 'artifacts'),
      bounds: config.artifacts,
      inUse: () => this.#convergence.inUse,
      onRequest: (bytes) => this.#ledger.add('artifact-request', bytes),
      onProgress: (downloads) => this.#link?.send({ kind: 'progress', at: Date.now(), downloads }),
      onLate: () => this.#convergence.arrived(),
      onRefused: (detail) => this.#event('version-refused', detail),
      log: (level, message, detail) => log[level](detail, message),
    });
  }

  #createConvergence(): Convergence {
    const { config, log } = { config: this.#config, log: this.#log };
    return new Convergence({
      pool: this.#pool,
      shelf: this.#models.versions,
      memory: new ServingMemory(this.#desiredStore),
      restraints: this.#restraints,
      engines: config.engines,
      cores: config.cores,
      repositoryControl: config.repositoryControl,
      source: () => {
        const [url, token] = [config.controlUrl, this.#downloadToken];
        return url === null || token === null ? null : { url, token };
      },
      onReport: (report) => this.#link?.send({ ...report, draining: this.#pool.draining }),
      onEvent: (name, detail) => this.#event(name, detail),
      log: (level, message, detail) => log[level](detail, message),
    });
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
      trust: this.#trust,
      outbox: this.#outbox,
      join,
      boot,
      connect: (url) => openSocket(url, config.ca),
      capabilities: nodeCapabilities(config.cores, config.engines),
      serving: () => this.#servingUrl,
      generation: () => this.#convergence.generation,
      onDesired: (message) => this.#documents.desired(message),
      onLease: (message) => this.#documents.lease(message),
      onClock: (serverTimeMs, agoMs) => this.#restraints.welcomed(serverTimeMs, agoMs),
      onCommand: (message) => this.#commands.run(message),
      onToken: (token) => {
        this.#downloadToken = token;
      },
      onOnline: () => {
        this.#convergence.online();
        this.#accounts.settle();
      },
      onSent: (kind, bytes) => this.#ledger.add(kind, bytes),
      log: (level, message, detail) => log[level](detail ?? {}, message),
    });
  }

  /** Serves what the disk says first, then looks for the control plane. */
  async start(): Promise<ServingUrls> {
    const { host, metricsPort } = this.#config;
    const desired = await this.#restoreDocument();
    await this.#labels.start();
    const ports = await this.#pool.start();
    const url = `http://${host}:${ports.http}`;
    this.#servingUrl = url;
    if (this.#outbox.corruptBytes > 0) {
      this.#log.warn({ bytes: this.#outbox.corruptBytes }, 'dropped a torn record from the outbox');
    }
    if (metricsPort !== null) {
      this.#metrics = await MetricsServer.open(host, metricsPort, () => this.#renderMetrics());
    }
    await this.#restore(desired);
    // Only now is it known what must stay.
    this.#models.tidy();
    this.#link?.start();
    this.#accounts.start();
    const metrics = this.#metrics === null ? null : `http://${host}:${this.#metrics.port}/metrics`;
    return { url, grpc: ports.grpc === null ? null : `${host}:${ports.grpc}`, metrics };
  }

  /** Before labels are counted again: what may leave this host stands in it. */
  async #restoreDocument(): Promise<Accepted | null> {
    if (this.#identity.agent === null) return null;
    const accepted = await this.#gate.restore().catch((error: unknown) => {
      this.#log.error({ reason: messageOf(error) }, 'the stored desired state is not genuine');
      return null;
    });
    if (accepted !== null) this.#withholding.follow(accepted.desired);
    return accepted;
  }

  async #restore(desired: Accepted | null): Promise<void> {
    if (this.#identity.agent === null) return;
    await this.#restraints.load();
    const lastGood = await this.#desiredStore.loadLastGood();
    if (desired !== null) this.#expiry.follow(desired.desired);
    await this.#convergence.restore(lastGood, desired);
  }

  #engineDied(death: EngineDeath): void {
    const { ordinal, pid, cause, computing, computedLast } = death;
    const detail = `engine ${ordinal} (pid ${pid}) ended: ${cause}`;
    this.#log.warn({ detail, computing, computedLast }, 'engine exited');
    this.#event('engine-exited', detail);
    this.#convergence.died(death);
  }

  #event(name: EventMessage['name'], detail: string): void {
    this.#link?.send({ kind: 'event', at: Date.now(), name, detail });
  }

  async #renderMetrics(): Promise<string> {
    const figures: AgentFigures = {
      generation: this.#convergence.generation,
      appliedGeneration: this.#convergence.applied,
      linkUp: this.#link?.online ?? false,
      outbox: this.telemetry,
      egress: this.#ledger.egress,
      labels: this.#labels.figures,
      restraints: this.#restraints.figures,
      connections: this.#pool.connections,
      supervisor: ownFigures(),
    };
    return renderMetrics(await this.#pool.snapshot(), figures);
  }

  /** Windows made since the start, and those not acknowledged yet. */
  get telemetry(): { produced: number; pending: number; dropped: number; coarsened: number } {
    const { produced, dropped, coarsened, pendingCount } = this.#outbox;
    return { produced, pending: pendingCount, dropped, coarsened };
  }

  /** Engines drain first, so that their last windows are on disk before the link goes. */
  async stop(): Promise<void> {
    this.#documents.stop();
    this.#convergence.stop();
    this.#expiry.stop();
    this.#commands.stop();
    this.#logSwitch.stop();
    this.#metrics?.close();
    await this.#pool.stop();
    await this.#restraints.stop();
    await this.#labels.stop();
    await this.#windows.settled();
    this.#link?.stop();
    await this.#outbox.close();
    await this.#accounts.stop();
  }
}
