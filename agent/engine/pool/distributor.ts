import type { Socket } from 'node:net';
import type { Transport, WaitingNote } from '../messages.ts';
import type { EngineProcess } from './engine-process.ts';
import { refusalBytes } from './refusal-bytes.ts';

/** Connections that wait for an engine while none is up: a burst of one second, some MiB of sockets. */
const MAX_HELD = 1024;
/** Connections given to one engine that it has not taken up: it has been computing in its own thread for long. */
const MAX_UNTAKEN = 1024;
/** A dead engine is back in far less; a client would rather hear of it than wait longer. */
const HOLD_MS = 5_000;
/** Time for the last bytes to reach the client before its own, unread ones make the kernel reset the connection. */
const LINGER_MS = 1_000;

/**
 *     held ──an engine is up──▶ given ──closed by the engine──▶ gone
 *       ▲                         │
 *       │                    engine died
 *       └───── never read ────────┼──── a request waits ──▶ 503
 *       └─ too long ─▶ 503        └──── otherwise ──▶ closed
 */
interface Connection {
  readonly transport: Transport;
  readonly socket: Socket;
}

interface GivenConnection extends Connection {
  readonly engine: EngineProcess;
  /** Requests that wait for a model. */
  waiting: number;
  /** Two requests waited at once: the bytes of an earlier answer may be half written. */
  pipelined: boolean;
}

/**
 * Gives accepted connections to engines, round robin among those with the fewest not yet taken up, so that an engine
 * that computes in its own thread is not given the next one too. Keeps a duplicate of each: what an engine that died
 * never touched goes to another, and who waits for a model gets a 503 instead of a reset.
 */
export class Distributor {
  readonly #engines: () => readonly EngineProcess[];
  /** By the number under which an engine was given it. Numbers ascend, also when one is given anew. */
  readonly #given = new Map<number, GivenConnection>();
  readonly #held = new Map<Connection, NodeJS.Timeout>();
  /** Connections that each engine was given and has taken up, ever. */
  readonly #counts = new Map<EngineProcess, { given: number; taken: number }>();
  #lastId = 0;
  #turn = 0;
  #stopping = false;

  /** `engines`: those that take connections now. */
  constructor(engines: () => readonly EngineProcess[]) {
    this.#engines = engines;
  }

  get open(): number {
    return this.#given.size + this.#held.size;
  }

  /** Connections that no engine has yet. */
  get held(): number {
    return this.#held.size;
  }

  accept(transport: Transport, socket: Socket): void {
    // Never read here, so only a write to a client that has left can fail; closing follows by itself.
    socket.on('error', () => undefined);
    if (this.#stopping) socket.destroy();
    else this.#place({ transport, socket });
  }

  #place(connection: Connection): void {
    const engine = this.#choose();
    if (engine !== null) this.#giveOrRefuse(connection, engine);
    else if (this.#held.size < MAX_HELD) this.#hold(connection);
    else refuse(connection, 'not_ready');
  }

  #hold(connection: Connection): void {
    const timer = setTimeout(() => {
      this.#held.delete(connection);
      refuse(connection, 'not_ready');
    }, HOLD_MS);
    this.#held.set(connection, timer);
  }

  #choose(): EngineProcess | null {
    const engines = this.#engines();
    this.#turn += 1;
    let best: EngineProcess | null = null;
    let fewest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < engines.length; at += 1) {
      const engine = engines[(this.#turn + at) % engines.length];
      const { given, taken } = this.#countsOf(engine);
      if (given - taken < fewest) [best, fewest] = [engine, given - taken];
    }
    return best;
  }

  #countsOf(engine: EngineProcess): { given: number; taken: number } {
    const known = this.#counts.get(engine);
    if (known !== undefined) return known;
    const counts = { given: 0, taken: 0 };
    this.#counts.set(engine, counts);
    return counts;
  }

  #giveOrRefuse(connection: Connection, engine: EngineProcess): void {
    const { given, taken } = this.#countsOf(engine);
    if (given - taken < MAX_UNTAKEN) this.#give(connection, engine);
    else refuse(connection, 'overloaded');
  }

  #give({ transport, socket }: Connection, engine: EngineProcess): void {
    this.#lastId += 1;
    const id = this.#lastId;
    this.#countsOf(engine).given += 1;
    this.#given.set(id, { transport, socket, engine, waiting: 0, pipelined: false });
    engine.give({ kind: 'connection', connection: id, transport }, socket);
  }

  /** An engine takes connections: it gets those that have waited for one. */
  engineReady(): void {
    const held = [...this.#held];
    this.#held.clear();
    for (const [connection, timer] of held) {
      clearTimeout(timer);
      this.#place(connection);
    }
  }

  /** `count`: how many the engine has taken up since its start. */
  taken(engine: EngineProcess, count: number): void {
    this.#countsOf(engine).taken = count;
  }

  noted(notes: readonly WaitingNote[]): void {
    for (const { connection: id, change } of notes) {
      const connection = id === null ? undefined : this.#given.get(id);
      if (connection === undefined) continue;
      // Below nought where the engine knew the connection only at the end, as of a pipelined request.
      connection.waiting = Math.max(0, connection.waiting + change);
      if (connection.waiting > 1) connection.pipelined = true;
    }
  }

  /** The engine's end is closed; the client sees it once ours is too. */
  gone(ids: readonly number[]): void {
    for (const id of ids) {
      this.#given.get(id)?.socket.destroy();
      this.#given.delete(id);
    }
  }

  /** `lastTouched`: the highest number of a connection that the engine may have read from. */
  engineDied(engine: EngineProcess, lastTouched: number): void {
    this.#counts.delete(engine);
    for (const [id, connection] of [...this.#given]) {
      if (connection.engine !== engine) continue;
      this.#given.delete(id);
      const { transport, socket, waiting, pipelined } = connection;
      if (id > lastTouched && !this.#stopping) this.#place({ transport, socket });
      else if (waiting > 0 && !pipelined) refuse(connection, 'engine_died');
      else socket.destroy();
    }
  }

  /** Closes what no engine has; what engines have they answer and close. */
  stop(): void {
    this.#stopping = true;
    for (const [connection, timer] of this.#held) {
      clearTimeout(timer);
      refuse(connection, 'not_ready');
    }
    this.#held.clear();
  }
}

/** In HTTP/2 nothing can be said in the middle of another's frames: its clients take a close for `UNAVAILABLE`. */
function refuse({ transport, socket }: Connection, code: Parameters<typeof refusalBytes>[0]): void {
  if (transport === 'grpc') {
    socket.destroy();
    return;
  }
  socket.end(refusalBytes(code));
  socket.resume();
  setTimeout(() => socket.destroy(), LINGER_MS).unref();
}
