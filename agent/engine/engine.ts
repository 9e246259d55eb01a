import type { AddressInfo, Server, Socket } from 'node:net';
import { executionOf } from '../../protocol/serving.ts';
import type { Breach } from '../../protocol/trip.ts';
import { messageOf, Refusal } from '../error.ts';
import type { DecisionBatch } from './decision-batch.ts';
import { DecisionFeed } from './decision-feed.ts';
import type { EnergyMeter } from './energy.ts';
import { EvaluationQueue } from './evaluate/evaluation-queue.ts';
import { type FeatureServerUrls, FeatureSteps } from './features/feature-steps.ts';
import type { EngineHost } from './host.ts';
import { drainedWithin } from './in-flight.ts';
import type { ComputeJournal } from './journal.ts';
import { LiveArms, type RetiredArm } from './live-arms.ts';
import type {
  EngineTrip,
  ModelToOpen,
  PlannedArm,
  PreparedModel,
  ServingPlan,
  WindowMessage,
} from './messages.ts';
import { admit, type HostShare } from './model/admission.ts';
import type { Runtime } from './model/runtime.ts';
import type { Slot } from './model/slot.ts';
import { CostMeter } from './observe/cost.ts';
import type { Recorder } from './observe/recorder.ts';
import { OpenSlots } from './open-slots.ts';
import { everyArmOf, RestrainedState } from './restrained-state.ts';
import { type Restraints, tripKey } from './restraints.ts';
import { closeGrpcServer, closeIdleGrpc, createGrpcServer } from './serve/grpc/grpc-server.ts';
import { acceptHttp, closeHttpServer, createHttpServer } from './serve/http-server.ts';
import { InferHandler } from './serve/infer-handler.ts';
import { type AnsweredJob, Inference, type WaitingObserver } from './serve/inference.ts';
import { createOipApp } from './serve/oip-app.ts';
import type { ServedArm, ServedDeployment } from './serve/routing.ts';
import type { EngineEgress, EngineSnapshot } from './snapshot.ts';
import { type TraceOptions, Tracer } from './trace/tracer.ts';
import { WindowClock } from './window-clock.ts';

export interface EngineOptions {
  readonly runtime: Runtime;
  /** Tells the engines of one host apart inside decision ids. */
  readonly ordinal: number;
  readonly version: string;
  readonly maxBodyBytes: number;
  /** What of the host is this engine's: how many engines share how many cores. */
  readonly share: HostShare;
  readonly onWindow: (window: WindowMessage) => void;
  /** Takes what is remembered of answered rows until their labels come; absent: nothing is. */
  readonly onDecisions?: (batch: DecisionBatch) => void;
  /** Told when a guard has taken an arm back here: it is out already. */
  readonly onTrip?: (trip: EngineTrip) => void;
  /** The host this engine is one of several of; null: it is alone. */
  readonly host?: EngineHost;
  /** Told which connections wait on a model that computes beside the serving thread. */
  readonly waiting?: WaitingObserver;
  /** Keeps which version is computed, for the time after a crash. */
  readonly journal?: Pick<ComputeJournal, 'computing'>;
  /** Where features may be fetched; absent: nowhere. */
  readonly featureServers?: FeatureServerUrls;
  /** Where spans of requests go; null or absent: nothing is traced. */
  readonly traces?: TraceOptions | null;
  /** Price of the whole device for an hour, in the operator's currency; null or absent: not known. */
  readonly devicePrice?: number | null;
  /** Null or absent: the host's energy counters can't be read. */
  readonly energy?: Pick<EnergyMeter, 'read'> | null;
}

/** A label that comes sooner than this after its answer may find it not remembered yet, and is kept for it. */
const DECISIONS_EVERY_MS = 1_000;
/** Numbers of engines that live at the same time. */
const ENGINES = 256;

/** How long a stopping engine waits for connections before it closes them. */
const STOP_GRACE_MS = 3_000;

/**
 * Serves requests, runs sessions, counts. Told what to serve in two steps, so that a version is fully admitted
 * before it replaces another: `prepare` loads, `commit` switches.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #inference: Inference;
  readonly #http;
  readonly #grpc;
  readonly #clock: WindowClock;
  readonly #arms: LiveArms;
  readonly #features: FeatureSteps;
  readonly #tracer: Tracer | null;
  /** Null: nobody keeps decisions. */
  readonly #decisions: DecisionFeed | null;
  readonly #decisionTimer: NodeJS.Timeout | null;
  readonly #evaluations = new EvaluationQueue();
  readonly #meter: CostMeter;
  /** Admitted versions, whether or not a plan names them yet. */
  readonly #slots: OpenSlots;
  /** Arms that are no longer served and still owe answers. */
  readonly #retired = new Set<Promise<void>>();
  #plan: ServingPlan | null = null;
  readonly #serving = new RestrainedState();
  /** An operator has taken this host out of traffic. */
  #draining = false;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#slots = new OpenSlots((model) => admit(options.runtime, model, options.share));
    const state = () => this.#serving.state;
    const waiting = options.waiting ?? null;
    const { ordinal, traces = null, featureServers = new Map() } = options;
    this.#tracer = traces === null ? null : new Tracer(traces, options.version, ordinal);
    this.#features = new FeatureSteps(featureServers);
    // Rows are numbered from 0 in each: no two engines of a host may have the same number, not even after a restart.
    const engine = Date.now() * ENGINES + (ordinal % ENGINES);
    const { onDecisions } = options;
    this.#decisions = onDecisions === undefined ? null : new DecisionFeed(engine, onDecisions);
    this.#decisionTimer =
      this.#decisions === null
        ? null
        : setInterval(() => this.#flushDecisions(), DECISIONS_EVERY_MS).unref();
    this.#inference = new Inference({
      ...{ state, waiting, tracer: this.#tracer },
      draining: () => this.#draining,
      onDecisions: () => this.#flushDecisions(),
    });
    const steps = {
      ...{ state, waiting },
      answered: (job: AnsweredJob) => this.#inference.answered(job),
    };
    const { devicePrice: perHour = null, share } = options;
    this.#meter = new CostMeter({ perHour, engines: share.engines }, performance.now());
    this.#arms = new LiveArms(options.journal ?? null, steps, this.#features, {
      ...{ queue: this.#evaluations, meter: this.#meter, host: steps },
      breached: (deployment, arm, breach, decision) =>
        this.#breached(deployment, arm, breach, decision),
    });
    this.#clock = new WindowClock(engine, (windowMs, startMs) => this.#cut(windowMs, startMs));
    const { maxBodyBytes, version } = options;
    const server = {
      ...{ state, version },
      ready: () => this.#plan !== null && !this.#draining,
      snapshot: () => this.snapshot(),
      host: options.host ?? null,
    };
    const infer = new InferHandler(this.#inference, maxBodyBytes);
    this.#http = createHttpServer(infer, createOipApp(server));
    this.#grpc = createGrpcServer(this.#inference, server, { maxBodyBytes });
  }

  /** Resolves with the port. */
  listen(host: string, port: number): Promise<number> {
    return listenOn(this.#http, host, port);
  }

  listenGrpc(host: string, port: number): Promise<number> {
    return listenOn(this.#grpc, host, port);
  }

  /** Takes over a connection that the supervisor has accepted. */
  accept(protocol: 'http' | 'grpc', connection: Socket): void {
    if (protocol === 'http') acceptHttp(this.#http, connection);
    else this.#grpc.emit('connection', connection);
  }

  /** Admits models that are not loaded yet. Never throws: a refusal is an outcome. */
  async prepare(models: readonly ModelToOpen[]): Promise<PreparedModel[]> {
    const outcomes: PreparedModel[] = [];
    for (const model of models) outcomes.push(await this.#prepareOne(model));
    return outcomes;
  }

  async #prepareOne(model: ModelToOpen): Promise<PreparedModel> {
    const { manifest } = model.files;
    try {
      const slot = await this.#slots.prepare(model);
      const { openMs: _, refused, ...placement } = slot.placement;
      return { manifest, outcome: 'ready', placement: { ...placement, refused: [...refused] } };
    } catch (error) {
      const code = error instanceof Refusal ? error.code : 'session-failed';
      return { manifest, outcome: 'refused', code, detail: messageOf(error) };
    }
  }

  /** Switches to a plan whose models are all prepared; what it no longer names drains and is released. */
  commit(plan: ServingPlan): void {
    this.#inference.recordAnswered();
    this.#flushDecisions();
    const named = new Set<Slot>();
    const { served, retired } = this.#arms.switchTo(plan.deployments, ({ serving }, arm) => {
      const slot = this.#slots.get(arm.manifest, executionOf(serving));
      if (slot === undefined) {
        throw new Error(`commit names ${arm.manifest}, which is not prepared as it is to run`);
      }
      named.add(slot);
      return slot;
    });
    this.#clock.agentTag = plan.agent.slice(4, 16);
    const before = this.#serving.planned;
    const deployments = new Map<string, ServedDeployment>();
    for (const { name, windowMs, serving, guard, unloaded = [] } of plan.deployments) {
      const window = this.#clock.open(windowMs);
      const timeoutUs = serving.batching?.timeoutUs ?? null;
      const { arms, standby } = served.get(name) ?? { arms: [], standby: null };
      const withoutLastGood = guard?.withoutLastGood ?? 'serve';
      const policy = { standby, withoutLastGood, closed: null };
      const deployment = { name, windowMs, window, timeoutUs, arms, unloaded, ...policy };
      for (const { recorder, slot, arm } of everyArmOf(deployment)) {
        this.#decisions?.follow(recorder, slot, arm);
      }
      deployments.set(name, deployment);
    }
    this.#serving.plan(plan.generation, deployments);
    this.#plan = plan;
    this.#cutResized(before);
    for (const arm of retired) this.#retire(arm);
    this.#clock.keepOnly(new Set(plan.deployments.map(({ windowMs }) => windowMs)));
    this.#slots.keepOnly(named);
  }

  /** From now on this may not serve; replaces what was said before. */
  restrain(restraints: Restraints): void {
    this.#serving.restrain(restraints);
  }

  #breached(
    deployment: string,
    { arm, version, manifest, decidedAt }: PlannedArm,
    breach: Breach,
    decision: string | null,
  ): void {
    const use = { deployment, arm, version, manifest, decidedAt };
    this.#serving.trip(tripKey(deployment, use));
    const { generation } = this.#serving.state;
    this.#options.onTrip?.({ ...use, generation, at: Date.now(), breach, decision });
  }

  /** An arm that lost its place is cut when the answers it still owed have been counted. */
  #retire({ recorder, windowMs, inFlight, evaluators, cost }: RetiredArm): void {
    const { startMs } = this.#clock.open(windowMs);
    const done = inFlight.drained().then(() => {
      this.#settle();
      this.#meter.remove(cost);
      evaluators?.close();
      this.#emit(recorder, startMs, windowMs);
      this.#retired.delete(done);
    });
    this.#retired.add(done);
  }

  /** What was counted under the old length of a window is not part of a new one. */
  #cutResized(before: ReadonlyMap<string, ServedDeployment>): void {
    this.#settle();
    for (const deployment of before.values()) {
      const { name, windowMs, window } = deployment;
      const now = this.#serving.planned.get(name);
      if (now === undefined || now.windowMs === windowMs) continue;
      for (const { recorder } of everyArmOf(deployment))
        this.#emit(recorder, window.startMs, windowMs);
    }
  }

  /** Everything that was answered until now is counted, and what it cost. */
  #settle(): void {
    this.#inference.recordAnswered();
    this.#meter.settle(performance.now(), this.#options.energy?.read() ?? null);
  }

  #cut(windowMs: number, startMs: number): void {
    this.#settle();
    for (const deployment of this.#serving.planned.values()) {
      if (deployment.windowMs !== windowMs) continue;
      for (const arm of everyArmOf(deployment)) this.#emit(arm.recorder, startMs, windowMs);
    }
  }

  #emit(recorder: Recorder, startMs: number, windowMs: number): void {
    this.#decisions?.flush(recorder, startMs, windowMs);
    const window = recorder.cut(startMs, windowMs);
    if (window !== null) this.#options.onWindow(window);
  }

  #flushDecisions(): void {
    for (const deployment of this.#serving.planned.values()) {
      const { window, windowMs } = deployment;
      for (const { recorder } of everyArmOf(deployment))
        this.#decisions?.flush(recorder, window.startMs, windowMs);
    }
  }

  /** What this engine has counted and what it is doing. */
  snapshot(): EngineSnapshot {
    this.#inference.recordAnswered();
    const { user, system } = process.cpuUsage();
    const arms = [...this.#serving.planned.values()].flatMap((deployment) =>
      countingArmsOf(deployment).map(({ version, arm, slot, statistics, batcher }) => ({
        ...{ deployment: deployment.name, version, arm, manifest: slot.manifestDigest },
        ...statistics.snapshot(),
        pending: batcher.queued,
      })),
    );
    const longestCall = this.#slots.longestCall();
    return {
      generation: this.#serving.state.generation,
      process: {
        ordinal: this.#options.ordinal,
        pid: process.pid,
        rssBytes: process.memoryUsage.rss(),
        cpuUserSeconds: user / 1e6,
        cpuSystemSeconds: system / 1e6,
        ...(this.#tracer === null ? {} : { spans: { ...this.#tracer.counts } }),
        egress: this.#egress(),
      },
      arms,
      ...(longestCall === undefined ? {} : { longestCall }),
    };
  }

  #egress(): EngineEgress {
    const [features, traces] = [this.#features.sent, this.#tracer?.sent ?? null];
    return {
      ...(features === null ? {} : { features: { ...features } }),
      ...(traces === null ? {} : { traces: { ...traces } }),
    };
  }

  /**
   * Refuses new requests, or takes them again; those that came before are answered. Resolves with how many it still owes
   * an answer: none, unless they take longer than `waitMs`.
   */
  async drain(draining: boolean, waitMs: number): Promise<number> {
    this.#draining = draining;
    const owed = [...this.#serving.planned.values()].flatMap(({ arms, standby }) =>
      [...arms, ...(standby === null ? [] : [standby])].map(({ inFlight }) => inFlight),
    );
    if (draining) await drainedWithin(owed, waitMs);
    return owed.reduce((sum, { count }) => sum + count, 0);
  }

  /** Closes connections that carry no request. */
  closeIdle(): void {
    this.#http.closeIdleConnections();
    closeIdleGrpc(this.#grpc);
  }

  /** Answers what is in flight, cuts every window, releases every session. */
  async stop(): Promise<void> {
    await Promise.all([
      closeHttpServer(this.#http, STOP_GRACE_MS),
      closeGrpcServer(this.#grpc, STOP_GRACE_MS),
    ]);
    await Promise.all([...this.#retired]);
    this.#features.close();
    this.#inference.recordAnswered();
    this.#evaluations.close();
    this.#clock.stop();
    if (this.#decisionTimer !== null) clearInterval(this.#decisionTimer);
    await Promise.all([this.#slots.close(), this.#tracer?.stop()]);
  }
}

/** What stands by is there once it has been asked something. */
function countingArmsOf(deployment: ServedDeployment): readonly ServedArm[] {
  const { standby, arms } = deployment;
  const asked = standby?.statistics.snapshot();
  const isAsked = asked !== undefined && asked.success.count + asked.fail.count > 0;
  return isAsked ? everyArmOf(deployment) : arms;
}

function listenOn(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve((server.address() as AddressInfo).port);
    });
  });
}
