import { randomBytes } from 'node:crypto';
import type { RawData, WebSocket } from 'ws';
import type { ResultMessage } from '../../protocol/command.ts';
import type { DownMessage } from '../../protocol/down.ts';
import { type LinkErrorCode, ProtocolError } from '../../protocol/error.ts';
import type { HelloMessage } from '../../protocol/hello.ts';
import type { AgentId } from '../../protocol/ids.ts';
import type { LedgerMessage } from '../../protocol/ledger.ts';
import { MAX_DETAIL_LENGTH } from '../../protocol/limits.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { EventMessage, TelemetryMessage } from '../../protocol/telemetry.ts';
import type { UpMessage } from '../../protocol/up.ts';
import { MIN_PROTOCOL_VERSION, PROTOCOL_VERSION } from '../../protocol/version.ts';
import { decodeUp, encodeDown } from '../../protocol/wire.ts';
import type { Admission } from './admission.ts';
import {
  NEW_SESSION,
  retryAfterMs,
  type SessionEvent,
  type SessionState,
  stepSession,
} from './session-state.ts';

/** A host answers the challenge in milliseconds; what is silent this long is no host. */
export const HELLO_TIMEOUT_MS = 10_000;
/** A link that is silent for two of these is dead, whatever TCP believes. */
export const PING_INTERVAL_MS = 15_000;
/** Messages of one host that wait for their commit before its socket is read no further. */
export const MAX_UNCOMMITTED = 256;
/** A host that reads so slowly is dropped: desired state is a snapshot, it gets the latest later. */
export const MAX_BUFFERED_BYTES = 8 * 1024 * 1024;
/** How long a refused host may take to close before the socket is cut. */
const CLOSE_GRACE_MS = 1_000;
/** WebSocket close code for "you broke a rule"; the reason is our own code. */
const POLICY_VIOLATION = 1008;

export interface SessionDeps {
  readonly controlKey: Uint8Array;
  readonly helloTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly admit: (nonce: Uint8Array, hello: HelloMessage) => Promise<Admission>;
  readonly onJoined: (session: Session, agent: AgentId) => Promise<void>;
  readonly onReport: (agent: AgentId, report: ReportMessage) => Promise<void>;
  /** Resolves when the window may be acknowledged. */
  readonly onTelemetry: (agent: AgentId, telemetry: TelemetryMessage) => Promise<void>;
  readonly onEvent: (agent: AgentId, event: EventMessage) => Promise<void>;
  /** What a command came to. */
  readonly onResult: (session: Session, result: ResultMessage) => void;
  readonly onLedger: (agent: AgentId, ledger: LedgerMessage) => void;
  readonly onClosed: (session: Session, code: LinkErrorCode | null) => void;
  readonly onFailure: (where: string, error: unknown) => void;
}

/** One socket. Owns the socket and its timers; what messages mean is the hub's business. */
export class Session {
  readonly #socket: WebSocket;
  readonly #deps: SessionDeps;
  readonly #nonce: Uint8Array = new Uint8Array(randomBytes(32));
  readonly #helloTimer: NodeJS.Timeout;
  readonly #pingTimer: NodeJS.Timeout;
  #state: SessionState = NEW_SESSION;
  #answered = true;
  #uncommitted = 0;
  #telemetryHeard = 0;
  #protocol = MIN_PROTOCOL_VERSION;

  constructor(socket: WebSocket, deps: SessionDeps) {
    this.#socket = socket;
    this.#deps = deps;
    this.#helloTimer = setTimeout(() => {
      this.#step({ kind: 'timeout' }, 'no hello came in time');
    }, deps.helloTimeoutMs);
    this.#pingTimer = setInterval(() => this.#ping(), deps.pingIntervalMs);
    socket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    socket.on('pong', () => {
      this.#answered = true;
    });
    // ws reports an oversized or malformed frame here and closes by itself; 'close' follows.
    socket.on('error', (error) => deps.onFailure('socket', error));
    socket.on('close', () => this.#step({ kind: 'lost' }, ''));
    this.send({
      kind: 'challenge',
      nonce: new Uint8Array(this.#nonce),
      controlKey: new Uint8Array(deps.controlKey),
      protocols: { min: MIN_PROTOCOL_VERSION, max: PROTOCOL_VERSION },
    });
  }

  get agent(): AgentId | null {
    return this.#state.kind === 'joined' ? this.#state.agent : null;
  }

  /** The wire that both sides speak: nothing newer may be said. */
  get protocol(): number {
    return this.#protocol;
  }

  send(message: DownMessage): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return;
    this.#socket.send(encodeDown(message));
    if (this.#socket.bufferedAmount > MAX_BUFFERED_BYTES) this.#socket.terminate();
  }

  replace(): void {
    this.#step({ kind: 'replaced' }, 'a newer link of this agent took over');
  }

  shutDown(): void {
    this.#step({ kind: 'shutdown' }, 'the control plane is stopping');
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#state.kind === 'closed') return;
    if (!isBinary || !(data instanceof Buffer)) {
      this.#step({ kind: 'malformed', code: 'bad-frame' }, 'frames are binary msgpack');
      return;
    }
    try {
      // A copy of its own: decoded byte fields are views, and outlive the socket's buffer.
      this.#handle(decodeUp(new Uint8Array(data)));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const code = error.kind === 'schema' ? 'bad-message' : 'bad-frame';
      this.#step({ kind: 'malformed', code }, error.message);
    }
  }

  #handle(message: UpMessage): void {
    const state = this.#step({ kind: message.kind }, `"${message.kind}" is not expected now`);
    if (message.kind === 'hello') {
      if (state.kind === 'verifying') this.#run('hello', this.#welcome(message));
      return;
    }
    if (state.kind !== 'joined') return;
    const { agent } = state;
    if (message.kind === 'telemetry') this.#telemetry(agent, message);
    else if (message.kind === 'report') {
      this.#run('report', this.#counted(this.#deps.onReport(agent, message)));
    } else if (message.kind === 'result') this.#deps.onResult(this, message);
    else if (message.kind === 'ledger') this.#deps.onLedger(agent, message);
    else this.#run('event', this.#counted(this.#deps.onEvent(agent, message)));
  }

  /**
   * A cursor takes windows in their order. A network that loses, repeats or swaps frames would make it pass over one: a
   * repeated frame is left out, and at a gap the link is closed, for the host to send again what was not acknowledged.
   */
  #telemetry(agent: AgentId, message: TelemetryMessage): void {
    const { nth } = message;
    if (nth !== undefined) {
      if (nth <= this.#telemetryHeard) return;
      if (nth > this.#telemetryHeard + 1) {
        const detail = `telemetry message ${nth} of this link came after ${this.#telemetryHeard}`;
        this.#step({ kind: 'malformed', code: 'out-of-order' }, detail);
        return;
      }
      this.#telemetryHeard = nth;
    }
    this.#run('telemetry', this.#commit(agent, message));
  }

  async #welcome(hello: HelloMessage): Promise<void> {
    const admission = await this.#deps.admit(this.#nonce, hello);
    if (admission.kind === 'denied') {
      this.#step({ kind: 'denied', code: admission.code }, admission.detail);
      return;
    }
    const { agent } = admission;
    this.#protocol = Math.min(hello.protocol, PROTOCOL_VERSION);
    const state = this.#step({ kind: 'accepted', agent, boot: hello.boot }, '');
    if (state.kind !== 'joined') return;
    clearTimeout(this.#helloTimer);
    await this.#deps.onJoined(this, agent);
  }

  /** Work that ends in the database: a host that makes more than it takes is read no further. */
  async #counted(work: Promise<void>): Promise<void> {
    this.#uncommitted += 1;
    if (this.#uncommitted >= MAX_UNCOMMITTED) this.#socket.pause();
    try {
      await work;
    } finally {
      this.#uncommitted -= 1;
      if (this.#socket.isPaused && this.#uncommitted <= MAX_UNCOMMITTED / 2) this.#socket.resume();
    }
  }

  async #commit(agent: AgentId, message: TelemetryMessage): Promise<void> {
    await this.#counted(this.#deps.onTelemetry(agent, message));
    this.send({ kind: 'ack', boot: message.boot, sequence: message.sequence });
  }

  /** What fails here is ours (the database), so the host is cut off to come back and resend. */
  #run(where: string, work: Promise<void>): void {
    work.catch((error: unknown) => {
      this.#deps.onFailure(where, error);
      // Closed at once: what is still in the socket must not overtake what failed.
      this.#step({ kind: 'lost' }, '');
      this.#socket.terminate();
    });
  }

  #ping(): void {
    if (!this.#answered) {
      this.#socket.terminate();
      return;
    }
    this.#answered = false;
    this.#socket.ping();
  }

  #step(event: SessionEvent, detail: string): SessionState {
    const before = this.#state;
    this.#state = stepSession(before, event);
    if (this.#state.kind === 'closed' && before.kind !== 'closed')
      this.#end(this.#state.code, detail);
    return this.#state;
  }

  #end(code: LinkErrorCode | null, detail: string): void {
    clearTimeout(this.#helloTimer);
    clearInterval(this.#pingTimer);
    if (code !== null) {
      const text = detail.slice(0, MAX_DETAIL_LENGTH);
      this.send({ kind: 'refused', code, detail: text, retryAfterMs: retryAfterMs(code) });
      this.#socket.close(POLICY_VIOLATION, code);
      setTimeout(() => this.#socket.terminate(), CLOSE_GRACE_MS).unref();
    }
    this.#deps.onClosed(this, code);
  }
}
