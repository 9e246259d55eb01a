import { type ChildProcess, fork } from 'node:child_process';
import type { Socket } from 'node:net';
import type { Digest } from '../../../protocol/ids.ts';
import { AgentError } from '../../error.ts';
import { type Trace, takeTrace } from '../journal.ts';
import type { EngineReply, FromEngine, ToEngine, WaitingNote } from '../messages.ts';
import { NATIVE_MEMORY_ENVIRONMENT } from '../model/native-memory.ts';
import type { EngineSnapshot } from '../snapshot.ts';
import type { Hang } from './watchdog.ts';

/** How engines are started: the agent's own program, told by its environment that it is an engine. */
export interface EngineProgram {
  readonly path: string;
  readonly argv: readonly string[];
  /** Options of Node itself. */
  readonly execArgv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Where an engine leaves its trace for the time after a crash. */
  readonly journalFolder: string;
}

export interface EngineExit {
  readonly code: number | null;
  readonly signal: string | null;
}

type Without<T, K extends string> = T extends unknown ? Omit<T, K> : never;
type Commands = Exclude<ToEngine, { kind: 'connection' | 'answer' | 'restrain' }>;
export type Command = Without<Commands, 'id'>;
export type ReplyTo<K extends Command['kind']> = Extract<
  EngineReply,
  {
    kind: {
      prepare: 'prepared';
      commit: 'committed';
      snapshot: 'snapshot';
      drain: 'drained';
      stop: 'stopped';
    }[K];
  }
>;
/** What an engine says of its own accord. */
export type Notice = Exclude<FromEngine, EngineReply | { kind: 'started' }>;

/**
 * One thread of V8's own for collecting and compiling, where there would be four: engines are as many as cores, and
 * each thread keeps memory of its own (2 MB of an idle engine).
 */
const ENGINE_NODE_OPTIONS = ['--v8-pool-size=1'];

export const COMMAND_TIMEOUT_MS = 30_000;

/** One engine process as the supervisor sees it. */
export class EngineProcess {
  readonly ordinal: number;
  /** Resolves once, when the process is gone. */
  readonly exited: Promise<EngineExit>;
  /** Takes connections and commands; a replacement does only once it has caught up with the committed plan. */
  joined = false;
  /** The supervisor ends it on purpose: nobody's fault. */
  dismissed = false;
  /** It did not do as it was told, and was killed for it. */
  abandoned = false;
  /** It was killed because it hung, and how. */
  hang: Hang | null = null;
  /** Commands to open versions that it has not answered. */
  opening = 0;
  /** Messages that have come from it. */
  heard = 0;
  /** What it is opening, and nothing has served yet. */
  loading: ReadonlySet<Digest> = new Set();
  lastSnapshot: EngineSnapshot | null = null;
  /** After its end: what it was about. */
  trace: Trace = { computedLast: null, lastConnection: 0 };
  readonly #child: ChildProcess;
  readonly #journal: string;
  readonly #waiting = new Map<Digest, number>();
  readonly #replies = new Map<number, (reply: EngineReply | AgentError) => void>();
  #nextId = 0;

  /** `engines`: how many share this host, itself included. */
  constructor(
    ordinal: number,
    engines: number,
    program: EngineProgram,
    onNotice: (notice: Notice) => void,
  ) {
    this.ordinal = ordinal;
    this.#journal = `${program.journalFolder}/${ordinal}`;
    this.#child = fork(program.path, [...program.argv], {
      execArgv: [...ENGINE_NODE_OPTIONS, ...program.execArgv],
      serialization: 'advanced',
      env: {
        ...program.env,
        ...NATIVE_MEMORY_ENVIRONMENT,
        DRIFTLINE_ENGINE: String(ordinal),
        DRIFTLINE_ENGINES: String(engines),
        DRIFTLINE_ENGINE_JOURNAL: this.#journal,
        ORT_DISABLE_TELEMETRY: '1',
      },
    });
    this.#child.on('error', () => undefined); // the exit that follows is what is acted on
    this.#child.once('exit', () => {
      this.joined = false;
    });
    this.exited = new Promise((resolve) => {
      // Not 'exit': what it said last is read by now, and tells what it died of.
      this.#child.once('close', (code, signal) => {
        this.#failAll();
        this.trace = takeTrace(this.#journal);
        resolve({ code, signal });
      });
    });
    this.#child.on('message', (message: FromEngine) => this.#received(message, onNotice));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get connected(): boolean {
    return this.#child.connected;
  }

  /** Versions with a request on a worker thread, or in its queue. */
  get computing(): Digest[] {
    return [...this.#waiting].flatMap(([manifest, count]) => (count > 0 ? [manifest] : []));
  }

  /** Requests on its worker threads and in their queues. */
  get waiting(): number {
    return [...this.#waiting.values()].reduce((sum, count) => sum + count, 0);
  }

  noted({ manifest, change }: WaitingNote): void {
    this.#waiting.set(manifest, (this.#waiting.get(manifest) ?? 0) + change);
  }

  /** Resolves when it listens to commands. Throws `AgentError` 'engine'. */
  async started(): Promise<void> {
    const timer = setTimeout(() => this.kill(), COMMAND_TIMEOUT_MS);
    const said = new Promise<true>((resolve) => {
      const look = (message: FromEngine) => {
        if (message.kind !== 'started') return;
        this.#child.off('message', look);
        resolve(true);
      };
      this.#child.on('message', look);
    });
    const outcome = await Promise.race([said, this.exited]);
    clearTimeout(timer);
    if (outcome !== true) {
      throw new AgentError('engine', `engine ${this.ordinal} ended before it had started`);
    }
  }

  /** Throws `AgentError` 'engine': the engine died, took too long, or could not. */
  async ask<K extends Command['kind']>(
    command: Extract<Command, { kind: K }>,
    timeoutMs = COMMAND_TIMEOUT_MS,
  ): Promise<ReplyTo<K>> {
    this.#nextId += 1;
    const id = this.#nextId;
    const reply = await new Promise<EngineReply>((resolve, reject) => {
      const timer = setTimeout(() => {
        const detail = `did not answer ${command.kind} in ${timeoutMs} ms`;
        settle(new AgentError('engine', `engine ${this.ordinal} ${detail}`));
      }, timeoutMs);
      const settle = (answer: EngineReply | AgentError) => {
        clearTimeout(timer);
        this.#replies.delete(id);
        if (answer instanceof AgentError) reject(answer);
        else if (answer.kind === 'failed') reject(new AgentError('engine', answer.message));
        else resolve(answer);
      };
      this.#replies.set(id, settle);
      if (this.connected) this.send({ ...command, id } as ToEngine);
      else settle(new AgentError('engine', `engine ${this.ordinal} died during ${command.kind}`));
    });
    return reply as ReplyTo<K>;
  }

  #failAll(): void {
    for (const settle of [...this.#replies.values()]) {
      settle(new AgentError('engine', `engine ${this.ordinal} died before it answered`));
    }
  }

  send(message: ToEngine): void {
    // Between death and its notice a send fails; the exit is what is acted on.
    this.#child.send(message, () => undefined);
  }

  /** A duplicate of the socket goes to the engine; this process keeps its own. */
  give(message: ToEngine, socket: Socket): void {
    this.#child.send(message, socket, { keepOpen: true }, () => undefined);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  abandon(): void {
    this.abandoned = true;
    this.kill();
  }

  /** Killed for what it did, not for what it was told: it dies as of a crash. */
  killHung(hang: Hang): void {
    this.hang = hang;
    this.kill();
  }

  #received(message: FromEngine, onNotice: (notice: Notice) => void): void {
    this.heard += 1;
    switch (message.kind) {
      case 'started':
        return;
      case 'window':
      case 'decisions':
      case 'tripped':
      case 'ask':
      case 'connections':
        onNotice(message);
        return;
      case 'snapshot':
        this.lastSnapshot = message.snapshot;
    }
    this.#replies.get(message.id)?.(message);
  }
}
