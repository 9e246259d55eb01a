import type { AddressInfo } from 'node:net';
import { messageOf, Refusal } from '../error.ts';
import type { ModelFiles, PreparedModel, ServingPlan, WindowMessage } from './messages.ts';
import { admit } from './model/admission.ts';
import type { Runtime } from './model/runtime.ts';
import type { Slot } from './model/slot.ts';
import { Recorder } from './observe/recorder.ts';
import { createHttpServer } from './serve/http-server.ts';
import { InferHandler } from './serve/infer-handler.ts';
import { createOipApp } from './serve/oip-app.ts';
import type { ServedArm, ServedDeployment, ServingState } from './serve/routing.ts';

export interface EngineOptions {
  readonly runtime: Runtime;
  /** Tells the engines of one host apart inside decision ids. */
  readonly ordinal: number;
  readonly version: string;
  readonly maxBodyBytes: number;
  readonly onWindow: (window: WindowMessage) => void;
}

/** How long a stopping engine waits for connections before it closes them. */
const STOP_GRACE_MS = 3_000;

/**
 * Serves requests, runs sessions, counts. Told what to serve in two steps, so that a version is fully admitted
 * before it replaces another: `prepare` loads, `commit` switches.
 */
export class Engine {
  readonly #options: EngineOptions;
  readonly #infer: InferHandler;
  readonly #server;
  /** Admitted models by manifest digest, whether or not a plan names them yet. */
  readonly #slots = new Map<string, Slot>();
  readonly #recorders = new Map<string, Recorder>();
  /** One timer per window length: all of its deployments are cut together, at wall-clock multiples. */
  /** Arms that are no longer served and whose last window is still to be cut. */
  readonly #retired = new Map<Recorder, { readonly timer: NodeJS.Timeout; cut(): void }>();
  readonly #cutters = new Map<number, { startMs: number; timer: NodeJS.Timeout }>();
  #plan: ServingPlan | null = null;
  #state: ServingState = { generation: 0, deployments: new Map() };
  #decisions = 0;
  #agentTag = '';

  constructor(options: EngineOptions) {
    this.#options = options;
    this.#infer = new InferHandler({
      state: () => this.#state,
      nextDecision: (arm, rows) => this.#nextDecision(arm, rows),
      maxBodyBytes: options.maxBodyBytes,
    });
    const app = createOipApp({
      state: () => this.#state,
      ready: () => this.#plan !== null,
      version: options.version,
    });
    this.#server = createHttpServer(this.#infer, app);
  }

  /** Resolves with the port. In a cluster worker the listening socket is the supervisor's. */
  listen(host: string, port: number): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(port, host, () => {
        this.#server.off('error', reject);
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  /** Admits models that are not loaded yet. Never throws: a refusal is an outcome. */
  async prepare(models: readonly ModelFiles[]): Promise<PreparedModel[]> {
    const outcomes: PreparedModel[] = [];
    for (const files of models) {
      outcomes.push(await this.#prepareOne(files));
    }
    return outcomes;
  }

  async #prepareOne(files: ModelFiles): Promise<PreparedModel> {
    const { manifest } = files;
    if (this.#slots.has(manifest)) return { manifest, outcome: 'ready' };
    try {
      this.#slots.set(manifest, await admit(this.#options.runtime, files));
      return { manifest, outcome: 'ready' };
    } catch (error) {
      const code = error instanceof Refusal ? error.code : 'session-failed';
      return { manifest, outcome: 'refused', code, detail: messageOf(error) };
    }
  }

  /** Switches to a plan whose models are all prepared; what it no longer names drains and is released. */
  commit(plan: ServingPlan): void {
    const deployments = new Map<string, ServedDeployment>();
    const keptRecorders = new Set<string>();
    for (const planned of plan.deployments) {
      const arms = planned.arms.map((arm): ServedArm => {
        const slot = this.#slots.get(arm.manifest);
        if (slot === undefined)
          throw new Error(`commit names ${arm.manifest}, which is not prepared`);
        const key = `${planned.name}\n${arm.manifest}\n${arm.arm}`;
        keptRecorders.add(key);
        const recorder = this.#recorderFor(key, planned.name, arm.arm, slot);
        return { arm: arm.arm, version: arm.version, share: arm.share, slot, recorder };
      });
      deployments.set(planned.name, { name: planned.name, windowMs: planned.windowMs, arms });
    }
    const before = this.#state;
    this.#state = { generation: plan.generation, deployments };
    this.#plan = plan;
    this.#agentTag = plan.agent.slice(4, 16);
    this.#retireSlots(plan);
    this.#cutResized(before);
    this.#retireRecorders(keptRecorders, before);
    this.#scheduleCuts();
  }

  #recorderFor(key: string, deployment: string, arm: ServedArm['arm'], slot: Slot): Recorder {
    const existing = this.#recorders.get(key);
    if (existing !== undefined) return existing;
    const { manifestDigest, manifest, grids } = slot;
    const recorder = new Recorder(deployment, manifestDigest, arm, manifest, grids);
    this.#recorders.set(key, recorder);
    return recorder;
  }

  #retireSlots(plan: ServingPlan): void {
    const named = new Set(plan.deployments.flatMap((d) => d.arms.map((arm) => arm.manifest)));
    for (const [manifest, slot] of this.#slots) {
      if (named.has(manifest)) continue;
      this.#slots.delete(manifest);
      void slot.retire();
    }
  }

  /** A recorder that lost its arm is cut after the answers still on their way have been counted. */
  #retireRecorders(kept: ReadonlySet<string>, before: ServingState): void {
    for (const [key, recorder] of this.#recorders) {
      if (kept.has(key)) continue;
      this.#recorders.delete(key);
      const arm = [...before.deployments.values()]
        .flatMap((d) => d.arms.map((each) => ({ windowMs: d.windowMs, each })))
        .find(({ each }) => each.recorder === recorder);
      if (arm === undefined) continue;
      const startMs = this.#cutters.get(arm.windowMs)?.startMs ?? Date.now();
      const cut = () => {
        this.#retired.delete(recorder);
        this.#infer.recordAnswered();
        this.#emit(recorder, startMs, arm.windowMs);
      };
      this.#retired.set(recorder, { timer: setTimeout(cut, RETIRED_RECORDER_GRACE_MS), cut });
    }
  }

  /** What was counted under the old length of a window is not part of a new one. */
  #cutResized(before: ServingState): void {
    this.#infer.recordAnswered();
    for (const { name, windowMs, arms } of before.deployments.values()) {
      const now = this.#state.deployments.get(name);
      if (now === undefined || now.windowMs === windowMs) continue;
      const startMs = this.#cutters.get(windowMs)?.startMs ?? Date.now();
      for (const { recorder } of arms) this.#emit(recorder, startMs, windowMs);
    }
  }

  #scheduleCuts(): void {
    const wanted = new Set([...this.#state.deployments.values()].map((d) => d.windowMs));
    for (const [windowMs, cutter] of this.#cutters) {
      if (wanted.has(windowMs)) continue;
      clearTimeout(cutter.timer);
      this.#cutters.delete(windowMs);
    }
    for (const windowMs of wanted) {
      if (!this.#cutters.has(windowMs)) this.#arm(windowMs);
    }
  }

  /** Windows lie on wall-clock multiples of their length, so that those of different hosts can be compared. */
  #arm(windowMs: number): void {
    const now = Date.now();
    const startMs = Math.floor(now / windowMs) * windowMs;
    const timer = setTimeout(
      () => {
        this.#cut(windowMs, startMs);
        this.#arm(windowMs);
      },
      startMs + windowMs - now,
    );
    this.#cutters.set(windowMs, { startMs, timer });
  }

  #cut(windowMs: number, startMs: number): void {
    this.#infer.recordAnswered();
    for (const deployment of this.#state.deployments.values()) {
      if (deployment.windowMs !== windowMs) continue;
      for (const arm of deployment.arms) this.#emit(arm.recorder, startMs, windowMs);
    }
  }

  #emit(recorder: Recorder, startMs: number, windowMs: number): void {
    const window = recorder.cut(startMs, windowMs);
    if (window !== null) this.#options.onWindow(window);
  }

  #nextDecision(arm: ServedArm, rows: number): string {
    const windowMs = this.#state.deployments.get(arm.recorder.deployment)?.windowMs ?? 1;
    const startMs = this.#cutters.get(windowMs)?.startMs ?? 0;
    const row = this.#decisions;
    this.#decisions += rows;
    return `${this.#agentTag}.${startMs.toString(36)}.${this.#options.ordinal.toString(36)}.${row.toString(36)}`;
  }

  /** Answers what is in flight, cuts every window, releases every session. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    this.#server.closeIdleConnections();
    const force = setTimeout(() => this.#server.closeAllConnections(), STOP_GRACE_MS);
    if (this.#server.listening) await closed;
    clearTimeout(force);
    for (const [windowMs, cutter] of this.#cutters) {
      clearTimeout(cutter.timer);
      this.#cut(windowMs, cutter.startMs);
    }
    this.#cutters.clear();
    for (const { timer, cut } of [...this.#retired.values()]) {
      clearTimeout(timer);
      cut();
    }
    await Promise.all([...this.#slots.values()].map((slot) => slot.retire()));
    this.#slots.clear();
  }
}

/** Longer than any answer of a drained arm takes to be counted, far shorter than a window. */
const RETIRED_RECORDER_GRACE_MS = 250;
