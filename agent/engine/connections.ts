import type { Socket } from 'node:net';
import type { Digest } from '../../protocol/ids.ts';
import type { ComputeJournal } from './journal.ts';
import type { FromEngine, WaitingNote } from './messages.ts';

type Message = Extract<FromEngine, { kind: 'connections' }>;

/** Between two looks at which connections have fallen idle while draining. */
const DRAIN_LOOK_MS = 20;
/** Comings and goings are told together: a message costs as much as a short request, and nobody waits for them. */
const TELL_AFTER_MS = 2;

/**
 * The connections an engine was given, and what the supervisor must know of them to answer in its place should it
 * die: which it has begun to read, which wait for a model, which are gone.
 *
 * Notes are sent once per turn of the event loop. The first request for a model at rest is told at once: the model
 * starts on it right away, and may take the process with it.
 */
export class Connections {
  readonly #send: (message: Message) => void;
  readonly #journal: Pick<ComputeJournal, 'taken'>;
  readonly #ids = new Map<Socket, number>();
  readonly #waiting = new Map<Digest, number>();
  #taken = 0;
  #told = 0;
  #notes: WaitingNote[] = [];
  #gone: number[] = [];
  #turn: NodeJS.Immediate | null = null;
  #timer: NodeJS.Timeout | null = null;

  constructor(send: (message: Message) => void, journal: Pick<ComputeJournal, 'taken'>) {
    this.#send = send;
    this.#journal = journal;
  }

  get open(): number {
    return this.#ids.size;
  }

  /** Takes a paused connection. From here on it may have been read from, and the journal says so. */
  adopt(id: number, socket: Socket): void {
    this.#journal.taken(id);
    this.#taken += 1;
    this.#ids.set(socket, id);
    // As a socket has it that node's HTTP server accepted itself: what is answered in the turn in which a client's
    // end is read still goes out; for anything later, a client that has closed its half has left.
    socket.allowHalfOpen = true;
    socket.once('close', () => {
      this.#ids.delete(socket);
      this.#gone.push(id);
      this.#tellSoon();
    });
    this.#tellSoon();
  }

  /** A request of a model on worker threads waits; `connection` null where nobody else could answer it. */
  waiting(connection: Socket | null, manifest: Digest): void {
    const before = this.#waiting.get(manifest) ?? 0;
    this.#waiting.set(manifest, before + 1);
    this.#note(connection, manifest, 1);
    if (before === 0) this.#tell();
  }

  settled(connection: Socket | null, manifest: Digest): void {
    this.#waiting.set(manifest, (this.#waiting.get(manifest) ?? 1) - 1);
    this.#note(connection, manifest, -1);
  }

  #note(socket: Socket | null, manifest: Digest, change: 1 | -1): void {
    const connection = (socket === null ? undefined : this.#ids.get(socket)) ?? null;
    this.#notes.push({ connection, manifest, change });
    this.#turn ??= setImmediate(() => this.#tell());
  }

  #tellSoon(): void {
    this.#timer ??= setTimeout(() => this.#tell(), TELL_AFTER_MS);
  }

  #tell(): void {
    if (this.#turn !== null) clearImmediate(this.#turn);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#turn = null;
    this.#timer = null;
    if (this.#notes.length + this.#gone.length === 0 && this.#taken === this.#told) return;
    const [notes, gone, taken] = [this.#notes, this.#gone, this.#taken];
    this.#notes = [];
    this.#gone = [];
    this.#told = taken;
    this.#send({ kind: 'connections', taken, notes, gone });
  }

  /** Resolves when every connection is closed: idle ones by `closeIdle`, all that are left after `graceMs`. */
  async drain(closeIdle: () => void, graceMs: number): Promise<void> {
    const deadline = performance.now() + graceMs;
    while (this.#ids.size > 0) {
      closeIdle();
      if (performance.now() >= deadline) for (const socket of this.#ids.keys()) socket.destroy();
      await new Promise((resolve) => setTimeout(resolve, DRAIN_LOOK_MS));
    }
    this.#tell();
  }
}
