import { AgentError, messageOf } from '../../error.ts';
import type { DecisionBatch } from '../decision-batch.ts';
import type { Answer, Question } from '../host.ts';
import type {
  EngineTrip,
  ModelToOpen,
  PreparedModel,
  ServingPlan,
  Transport,
  WindowMessage,
} from '../messages.ts';
import { type Restraints, UNRESTRAINED } from '../restraints.ts';
import type { EngineSnapshot, HostSnapshot } from '../snapshot.ts';
import { HostCounters } from './counters.ts';
import { Distributor } from './distributor.ts';
import { drainEngines } from './drain.ts';
import { deathOf, type EngineDeath } from './engine-death.ts';
import {
  type EngineExit,
  EngineProcess,
  type EngineProgram,
  type Notice,
} from './engine-process.ts';
import { Listener } from './listener.ts';
import { commonOutcome, PREPARE_TIMEOUT_MS, prepareIn } from './prepare.ts';
import { RestartDelay } from './restart-delay.ts';
import { restartOneByOne } from './rolling-restart.ts';
import { Watchdog } from './watchdog.ts';

export interface PoolOptions {
  readonly engines: number;
  readonly host: string;
  /** 0: any free one; null: this transport is not served. */
  readonly ports: Readonly<Record<Transport, number | null>>;
  readonly program: EngineProgram;
  /** An engine that has not answered for this long, or computes one call on a worker thread for as long, is replaced; null: never. */
  readonly hangTimeoutMs: number | null;
  onWindow(window: WindowMessage): void;
  /** Rows that were answered, to be remembered for their labels. */
  onDecisions(batch: DecisionBatch): void;
  /** A guard has taken an arm back in one engine. */
  onTrip(trip: EngineTrip): void;
  /** An engine ended that was not told to. */
  onDeath(death: EngineDeath): void;
  /** A new engine could not be brought to serve; another is tried. */
  onStartFailed(detail: string): void;
  /** What engines ask of their host, except for snapshots, which the pool answers. */
  onQuestion(question: Exclude<Question, { kind: 'snapshot' }>): Promise<Answer>;
}

const STOP_TIMEOUT_MS = 8_000;
/** When every engine has just died, a version is judged by the first that is back; later ones are taken on trust. */
const JOIN_WAIT_MS = 5_000;
/** What a dead engine counted since its last snapshot is lost: at most this much of it. */
const SNAPSHOT_INTERVAL_MS = 1_000;
/** Less than the engines wait for the merged answer. */
const SNAPSHOT_TIMEOUT_MS = 800;

/**
 * The engine processes of one host: keeps as many alive as asked, and all of them on the same plan. The listening
 * sockets are this process's own, so that neither an engine's death nor its start closes the door.
 */
export class EnginePool {
  readonly #options: PoolOptions;
  readonly #distributor = new Distributor(() => this.#joined());
  readonly #counters = new HostCounters();
  readonly #restarts = new RestartDelay();
  readonly #onJoin = new Set<() => void>();
  #listeners: Listener[] = [];
  #engines: EngineProcess[] = [];
  /** Replacements that have not been forked yet. */
  #planned = 0;
  #wanted: number;
  #nextOrdinal = 0;
  #models: readonly ModelToOpen[] = [];
  #plan: ServingPlan | null = null;
  #restraints: Restraints = UNRESTRAINED;
  #polling: NodeJS.Timeout | null = null;
  #stopping = false;
  #draining = false;
  readonly #watchdog: Watchdog | null;

  constructor(options: PoolOptions) {
    this.#options = options;
    const { hangTimeoutMs: hangMs } = options;
    const others = { openingMs: PREPARE_TIMEOUT_MS, maxStepMs: 2 * SNAPSHOT_INTERVAL_MS };
    this.#watchdog = hangMs === null ? null : new Watchdog({ hangMs, ...others });
    this.#wanted = options.engines;
  }

  /** Starts every engine, then listens. Resolves with the ports. Serves 404s until the first commit. */
  async start(): Promise<Record<Transport, number | null>> {
    const started = Array.from({ length: this.#wanted }, async () => {
      const engine = this.#fork();
      await engine.started();
      this.#join(engine);
    });
    await Promise.all(started);
    this.#polling = setInterval(() => void this.#poll(), SNAPSHOT_INTERVAL_MS).unref();
    const { http, grpc } = this.#options.ports;
    return { http: await this.#listen('http', http), grpc: await this.#listen('grpc', grpc) };
  }

  async #listen(transport: Transport, port: number | null): Promise<number | null> {
    if (port === null) return null;
    const listener = await Listener.open(this.#options.host, port, (socket) =>
      this.#distributor.accept(transport, socket),
    );
    this.#listeners.push(listener);
    return listener.port;
  }

  get alive(): number {
    return this.#joined().length;
  }

  /** Connections that clients have open. */
  get connections(): number {
    return this.#distributor.open;
  }

  /** Requests that wait for a model on worker threads. */
  get waiting(): number {
    return this.#engines.reduce((sum, engine) => sum + engine.waiting, 0);
  }

  #joined(): EngineProcess[] {
    return this.#engines.filter((engine) => engine.joined);
  }

  #join(engine: EngineProcess): void {
    engine.joined = true;
    this.#distributor.engineReady();
    for (const resume of [...this.#onJoin]) resume();
  }

  async #someJoined(): Promise<void> {
    if (this.#joined().length > 0 || this.#stopping) return;
    await new Promise<void>((resolve) => {
      const resume = () => {
        clearTimeout(timer);
        this.#onJoin.delete(resume);
        resolve();
      };
      const timer = setTimeout(resume, JOIN_WAIT_MS);
      this.#onJoin.add(resume);
    });
  }

  /** Loads models in every engine; a version is ready only if all of them admit it. */
  async prepare(models: readonly ModelToOpen[]): Promise<PreparedModel[]> {
    await this.#someJoined();
    const served = this.#served();
    const answers = await Promise.all(
      this.#joined().map((engine) => prepareIn(engine, models, served)),
    );
    return commonOutcome(models, answers);
  }

  #served(): ReadonlySet<string> {
    return new Set(this.#models.map(({ files }) => files.manifest));
  }

  /**
   * Switches every engine. Resolves when all of those alive serve the plan: one that can't follow the others is
   * replaced. Throws `AgentError` 'engine' when none can; then all keep what they served.
   */
  async commit(plan: ServingPlan, models: readonly ModelToOpen[]): Promise<void> {
    const [planBefore, modelsBefore] = [this.#plan, this.#models];
    this.#plan = plan;
    this.#models = models;
    const engines = this.#joined();
    const outcomes = await Promise.allSettled(
      engines.map((engine) => this.#serve(engine, plan, models)),
    );
    // Dead ones come back with this plan by themselves.
    const stuck = engines.filter(
      (engine, at) => outcomes[at].status === 'rejected' && engine.connected,
    );
    if (stuck.length > 0 && stuck.length === engines.length) {
      this.#plan = planBefore;
      this.#models = modelsBefore;
      const reason = outcomes.find((outcome) => outcome.status === 'rejected')?.reason;
      throw new AgentError('engine', `no engine can serve the plan: ${messageOf(reason)}`);
    }
    for (const engine of stuck) engine.abandon();
    this.#counters.keepOnly(plan);
  }

  async #serve(
    engine: EngineProcess,
    plan: ServingPlan,
    models: readonly ModelToOpen[],
  ): Promise<void> {
    // Loaded already in all but an engine that joined since: then this is an empty round trip.
    await prepareIn(engine, models, this.#served());
    // It may have joined since they were said.
    engine.send({ kind: 'restrain', restraints: this.#restraints });
    await engine.ask({ kind: 'commit', plan });
  }

  /** In force in every engine at once, under whatever plan it serves: nothing is loaded, and nothing waited for. */
  restrain(restraints: Restraints): void {
    this.#restraints = restraints;
    for (const engine of this.#engines) engine.send({ kind: 'restrain', restraints });
  }

  get draining(): boolean {
    return this.#draining;
  }

  /** Has every engine, and each that comes after it, refuse new requests or take them again; see `drainEngines`. */
  drain(draining: boolean): Promise<number> {
    this.#draining = draining;
    return drainEngines(this.#joined(), draining);
  }

  /** A new process for each engine of now; see `restartOneByOne`. */
  async restart(): Promise<number> {
    const start = async () => {
      const successor = this.#fork();
      await this.#catchUp(successor).catch((error: unknown) => {
        successor.abandon();
        throw error;
      });
    };
    const end = (engine: EngineProcess) => this.#dismiss(engine);
    const restarted = await restartOneByOne(this.#joined(), { start, end });
    // The number that is wanted may be another by now.
    this.resize(this.#wanted);
    return restarted;
  }

  /** From now on this many engines: new ones join when they have caught up, the newest drain and end. */
  resize(engines: number): void {
    this.#wanted = engines;
    if (this.#stopping) return;
    while (this.#lasting().length + this.#planned < engines) this.#replaceAfter(0);
    for (const engine of this.#lasting().slice(engines)) void this.#dismiss(engine);
  }

  /** Those that stay, oldest first. */
  #lasting(): EngineProcess[] {
    return this.#engines.filter((engine) => !engine.dismissed);
  }

  #fork(): EngineProcess {
    const ordinal = this.#nextOrdinal;
    this.#nextOrdinal += 1;
    const { program } = this.#options;
    const engine: EngineProcess = new EngineProcess(ordinal, this.#wanted, program, (notice) =>
      this.#noticed(engine, notice),
    );
    this.#engines.push(engine);
    void engine.exited.then((exit) => this.#exited(engine, exit));
    return engine;
  }

  #noticed(engine: EngineProcess, notice: Notice): void {
    switch (notice.kind) {
      case 'window':
        this.#options.onWindow(notice);
        return;
      case 'decisions':
        this.#options.onDecisions(notice);
        return;
      case 'tripped':
        this.#options.onTrip(notice.trip);
        return;
      case 'connections':
        for (const note of notice.notes) engine.noted(note);
        this.#distributor.taken(engine, notice.taken);
        this.#distributor.noted(notice.notes);
        this.#distributor.gone(notice.gone);
        return;
      case 'ask':
        void this.#answer(notice.question).then(
          (answer) => engine.send({ kind: 'answer', id: notice.id, answer }),
          () => engine.send({ kind: 'answer', id: notice.id, answer: null }),
        );
    }
  }

  async #answer(question: Question): Promise<Answer> {
    if (question.kind !== 'snapshot') return this.#options.onQuestion(question);
    return { kind: 'snapshot', snapshot: await this.snapshot() };
  }

  /** Keeps what engines say of themselves, and kills those that hang: their exit is a death like any other. */
  async #poll(): Promise<void> {
    await this.snapshot();
    if (this.#watchdog === null || this.#stopping) return;
    const engines = this.#joined();
    const pulses = engines.map(({ ordinal, heard, opening, lastSnapshot }) => {
      return {
        ordinal,
        heard,
        opening: opening > 0,
        longestCall: lastSnapshot?.longestCall ?? null,
      };
    });
    const hangs = this.#watchdog.look(performance.now(), pulses);
    for (const engine of engines) {
      const hang = hangs.get(engine.ordinal);
      if (hang !== undefined) engine.killHung(hang);
    }
  }

  /** Counters of all engines together. One that does not answer in time is represented by what it said last. */
  async snapshot(): Promise<HostSnapshot> {
    const engines = this.#joined();
    const answers = await Promise.allSettled(
      engines.map((engine) => engine.ask({ kind: 'snapshot' }, SNAPSHOT_TIMEOUT_MS)),
    );
    const unanswered = answers.filter(({ status }) => status === 'rejected').length;
    // As of now, not as of the question: one that died since is among the ended.
    const living = this.engineSnapshots;
    return this.#counters.sum(living, { wanted: this.#wanted, alive: this.alive, unanswered });
  }

  /** What each engine process said last. */
  get engineSnapshots(): EngineSnapshot[] {
    return this.#engines.flatMap(({ lastSnapshot }) => lastSnapshot ?? []);
  }

  #exited(engine: EngineProcess, exit: EngineExit): void {
    this.#engines = this.#engines.filter((each) => each !== engine);
    this.#counters.ended(engine.lastSnapshot, !engine.dismissed);
    this.#distributor.engineDied(engine, engine.trace.lastConnection);
    if (this.#stopping || engine.dismissed) return;
    const atMs = Date.now();
    if (this.#lasting().length + this.#planned < this.#wanted) {
      this.#replaceAfter(this.#restarts.died(atMs));
    }
    this.#options.onDeath(deathOf(engine, exit, atMs));
  }

  #replaceAfter(delayMs: number): void {
    this.#planned += 1;
    setTimeout(() => {
      this.#planned -= 1;
      if (this.#lasting().length < this.#wanted) void this.#replace();
    }, delayMs);
  }

  /** A new engine takes connections, and commands, only once it serves what the others serve. */
  async #replace(): Promise<void> {
    if (this.#stopping) return;
    const engine = this.#fork();
    try {
      await this.#catchUp(engine);
    } catch (error) {
      // Its exit starts the next attempt.
      if (!engine.dismissed) {
        this.#options.onStartFailed(`a new engine could not start: ${messageOf(error)}`);
      }
      engine.abandon();
    }
  }

  async #catchUp(engine: EngineProcess): Promise<void> {
    await engine.started();
    let served: ServingPlan | null = null;
    let draining = false;
    // A newer plan may be committed while this one loads.
    while ((served !== this.#plan && this.#plan !== null) || draining !== this.#draining) {
      draining = this.#draining;
      await engine.ask({ kind: 'drain', draining });
      served = this.#plan;
      if (served !== null) await this.#serve(engine, served, this.#models);
    }
    if (!engine.dismissed) this.#join(engine);
  }

  /** The engine answers what is in flight, hands over its windows, and ends. */
  async #dismiss(engine: EngineProcess): Promise<void> {
    engine.dismissed = true;
    engine.joined = false;
    await engine.ask({ kind: 'snapshot' }, SNAPSHOT_TIMEOUT_MS).catch(() => undefined);
    await engine.ask({ kind: 'stop' }, STOP_TIMEOUT_MS).catch(() => undefined);
    engine.kill();
    await engine.exited;
  }

  /** No new connections; engines drain and end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#polling !== null) clearInterval(this.#polling);
    for (const listener of this.#listeners) listener.close();
    this.#distributor.stop();
    await Promise.all(this.#engines.map((engine) => this.#dismiss(engine)));
  }
}
