import cluster, { type Worker } from 'node:cluster';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { AgentError, messageOf } from '../error.ts';
import type {
  FromEngine,
  ModelFiles,
  PreparedModel,
  ServingPlan,
  ToEngine,
  WindowMessage,
} from './messages.ts';

export interface PoolOptions {
  readonly engines: number;
  readonly host: string;
  readonly port: number;
  onWindow(window: WindowMessage): void;
  onExit(detail: string): void;
}

interface EngineProcess {
  readonly ordinal: number;
  readonly worker: Worker;
  /** Takes commands; a replacement does only once it has caught up with the committed plan. */
  joined: boolean;
}

/** A model of gigabytes may take this long to open and warm up. */
const PREPARE_TIMEOUT_MS = 600_000;
const COMMAND_TIMEOUT_MS = 30_000;
const STOP_TIMEOUT_MS = 8_000;
/** When every engine has just died, a version is judged by the first that is back; later ones are taken on trust. */
const JOIN_WAIT_MS = 5_000;
/** First wait before a dead engine is replaced; doubles while it keeps dying, so that a crash loop stays cheap. */
const RESTART_DELAY_MS = 100;
const MAX_RESTART_DELAY_MS = 5_000;
const STEADY_AFTER_MS = 30_000;

type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
type Command = Without<ToEngine, 'id'>;
type Reply = Exclude<FromEngine, WindowMessage | { kind: 'started' }>;

/** The engine processes of one host: keeps as many alive as asked, and all of them on the same plan. */
export class EnginePool {
  readonly #options: PoolOptions;
  #engines: EngineProcess[] = [];
  #replies = new Map<number, (reply: Reply | Error) => void>();
  #nextId = 0;
  #nextOrdinal = 0;
  readonly #onJoin = new Set<() => void>();
  #models: readonly ModelFiles[] = [];
  #plan: ServingPlan | null = null;
  #port: number;
  #stopping = false;
  #deaths = 0;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#port = options.port;
    // Round robin: left to the kernel, the engine that wakes first can accept most of a burst of connections.
    cluster.schedulingPolicy = cluster.SCHED_RR;
    cluster.setupPrimary({ serialization: 'advanced' });
    cluster.on('exit', (worker, code, signal) => this.#exited(worker, code, signal));
  }

  /** Starts every engine and resolves with the port they share. Serves 404s until the first commit. */
  async start(): Promise<number> {
    // Cluster shares a socket by the port that was asked for: with 0, an engine that comes later would get another.
    if (this.#port === 0) this.#port = await freePort(this.#options.host);
    const started = Array.from({ length: this.#options.engines }, async () => {
      const engine = await this.#fork();
      this.#join(engine);
      await this.#listen(engine);
    });
    await Promise.all(started);
    return this.#port;
  }

  get alive(): number {
    return this.#joined().length;
  }

  #joined(): EngineProcess[] {
    return this.#engines.filter((engine) => engine.joined);
  }

  #join(engine: EngineProcess): void {
    engine.joined = true;
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
  async prepare(models: readonly ModelFiles[]): Promise<PreparedModel[]> {
    await this.#someJoined();
    const answers = await Promise.all(
      this.#joined().map((engine) => this.#prepareIn(engine, models)),
    );
    return models.map(({ manifest }) => {
      const outcomes = answers.flatMap((each) => each.filter((m) => m.manifest === manifest));
      return outcomes.find((each) => each.outcome === 'refused') ?? { manifest, outcome: 'ready' };
    });
  }

  async #prepareIn(
    engine: EngineProcess,
    models: readonly ModelFiles[],
  ): Promise<readonly PreparedModel[]> {
    try {
      const reply = await this.#ask(engine, { kind: 'prepare', models }, PREPARE_TIMEOUT_MS);
      return reply.kind === 'prepared' ? reply.models : [];
    } catch (error) {
      // The process died while loading: the likeliest cause is a model it was loading, not one that served before.
      const detail = messageOf(error);
      const served = new Set(this.#models.map((model) => model.manifest));
      return models.map(({ manifest }) =>
        served.has(manifest)
          ? { manifest, outcome: 'ready' }
          : { manifest, outcome: 'refused', code: 'engine-crashed', detail },
      );
    }
  }

  /**
   * Switches every engine. Resolves when all of those alive serve the plan: one that can't follow the others is
   * replaced. Throws `AgentError` 'engine' when none can; then all keep what they served.
   */
  async commit(plan: ServingPlan, models: readonly ModelFiles[]): Promise<void> {
    const [planBefore, modelsBefore] = [this.#plan, this.#models];
    this.#plan = plan;
    this.#models = models;
    const engines = this.#joined();
    const outcomes = await Promise.allSettled(
      engines.map((engine) => this.#serve(engine, plan, models)),
    );
    // Dead ones come back with this plan by themselves.
    const stuck = engines.filter(
      ({ worker }, at) => outcomes[at].status === 'rejected' && worker.isConnected(),
    );
    if (stuck.length > 0 && stuck.length === engines.length) {
      this.#plan = planBefore;
      this.#models = modelsBefore;
      const reason = outcomes.find((outcome) => outcome.status === 'rejected')?.reason;
      throw new AgentError('engine', `no engine can serve the plan: ${messageOf(reason)}`);
    }
    for (const engine of stuck) engine.worker.process.kill('SIGKILL');
  }

  async #serve(
    engine: EngineProcess,
    plan: ServingPlan,
    models: readonly ModelFiles[],
  ): Promise<void> {
    // Loaded already in all but an engine that joined since: then this is an empty round trip.
    await this.#prepareIn(engine, models);
    await this.#ask(engine, { kind: 'commit', plan });
  }

  /** A new engine that listens to commands. */
  async #fork(): Promise<EngineProcess> {
    const ordinal = this.#nextOrdinal;
    this.#nextOrdinal += 1;
    const worker = cluster.fork({ DRIFTLINE_ENGINE: String(ordinal), ORT_DISABLE_TELEMETRY: '1' });
    const engine = { ordinal, worker, joined: false };
    worker.on('error', () => undefined); // the exit that follows is what is acted on
    this.#engines.push(engine);
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => worker.process.kill('SIGKILL'), COMMAND_TIMEOUT_MS);
      const died = () => {
        clearTimeout(timer);
        reject(new AgentError('engine', `engine ${ordinal} ended before it had started`));
      };
      worker.once('exit', died);
      worker.on('message', (message: FromEngine) => {
        if (message.kind !== 'started') return this.#received(message);
        clearTimeout(timer);
        worker.off('exit', died);
        resolve();
      });
    });
    return engine;
  }

  async #listen(engine: EngineProcess): Promise<void> {
    const { host } = this.#options;
    const reply = await this.#ask(engine, { kind: 'listen', host, port: this.#port });
    if (reply.kind !== 'listening') throw new AgentError('engine', `engine answered ${reply.kind}`);
  }

  #received(message: Exclude<FromEngine, { kind: 'started' }>): void {
    if (message.kind === 'window') {
      this.#options.onWindow(message);
      return;
    }
    const settle = this.#replies.get(message.id);
    this.#replies.delete(message.id);
    settle?.(message);
  }

  #ask(engine: EngineProcess, command: Command, timeoutMs = COMMAND_TIMEOUT_MS): Promise<Reply> {
    this.#nextId += 1;
    const id = this.#nextId;
    return new Promise<Reply>((resolve, reject) => {
      const timer = setTimeout(
        () =>
          settle(
            new AgentError(
              'engine',
              `engine ${engine.ordinal} did not answer ${command.kind} in ${timeoutMs} ms`,
            ),
          ),
        timeoutMs,
      );
      const died = () =>
        settle(new AgentError('engine', `engine ${engine.ordinal} died during ${command.kind}`));
      const settle = (reply: Reply | Error) => {
        clearTimeout(timer);
        engine.worker.off('exit', died);
        this.#replies.delete(id);
        if (reply instanceof Error) reject(reply);
        else if (reply.kind === 'failed') reject(new AgentError('engine', reply.message));
        else resolve(reply);
      };
      this.#replies.set(id, settle);
      engine.worker.once('exit', died);
      if (!engine.worker.isConnected()) died();
      else engine.worker.send({ ...command, id });
    });
  }

  #exited(worker: Worker, code: number | null, signal: string | null): void {
    const engine = this.#engines.find((each) => each.worker === worker);
    if (engine === undefined) return;
    this.#engines = this.#engines.filter((each) => each !== engine);
    if (this.#stopping) return;
    this.#options.onExit(
      `engine ${engine.ordinal} (pid ${worker.process.pid}) ended by ${signal ?? `code ${code}`}`,
    );
    const delay = Math.min(MAX_RESTART_DELAY_MS, RESTART_DELAY_MS * 2 ** this.#deaths);
    this.#deaths += 1;
    setTimeout(() => {
      this.#deaths = Math.max(0, this.#deaths - 1);
    }, STEADY_AFTER_MS).unref();
    setTimeout(() => void this.#replace(), delay);
  }

  /** A new engine takes connections, and commands, only once it serves what the others serve. */
  async #replace(): Promise<void> {
    if (this.#stopping) return;
    let engine: EngineProcess | null = null;
    try {
      engine = await this.#fork();
      let served: ServingPlan | null = null;
      // A newer plan may be committed while this one loads.
      while (served !== this.#plan && this.#plan !== null) {
        served = this.#plan;
        await this.#serve(engine, served, this.#models);
      }
      this.#join(engine);
      await this.#listen(engine);
    } catch (error) {
      // Its exit starts the next attempt.
      this.#options.onExit(`a new engine could not start: ${messageOf(error)}`);
      engine?.worker.process.kill('SIGKILL');
    }
  }

  /** Engines answer what is in flight, hand over their windows, and end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const engines = [...this.#engines];
    await Promise.allSettled(
      engines.map(async (engine) => {
        const ended = new Promise((resolve) => engine.worker.once('exit', resolve));
        await this.#ask(engine, { kind: 'stop' }, STOP_TIMEOUT_MS).catch(() => undefined);
        engine.worker.process.kill('SIGKILL');
        await ended;
      }),
    );
  }
}

async function freePort(host: string): Promise<number> {
  const probe = createServer();
  probe.listen(0, host);
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}
