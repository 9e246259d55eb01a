import { hash, randomBytes } from 'node:crypto';
import type { RawData, WebSocket } from 'ws';
import type { ResultMessage } from '../../protocol/command.ts';
import type { DownMessage } from '../../protocol/down.ts';
import { type LinkErrorCode, ProtocolError, type RefusedMessage } from '../../protocol/error.ts';
import { type Answer, type Frames, proveAnswer } from '../../protocol/handshake.ts';
import type { HelloMessage } from '../../protocol/hello.ts';
import type { AgentId } from '../../protocol/ids.ts';
import type { LedgerMessage } from '../../protocol/ledger.ts';
import { MAX_DETAIL_LENGTH, MAX_FRAME_BYTES } from '../../protocol/limits.ts';
import type { ProgressMessage } from '../../protocol/progress.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { SigningKey } from '../../protocol/signing.ts';
import type { EventMessage, TelemetryMessage } from '../../protocol/telemetry.ts';
import type { Signed } from '../../protocol/trust/signed.ts';
import type { UpMessage } from '../../protocol/up.ts';
import { ALIVE_SINCE, MIN_PROTOCOL_VERSION, PROTOCOL_VERSION } from '../../protocol/version.ts';
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
/**
 * What waits for a host that does not read: two documents of the largest size at most, since newer ones replace those that
 * wait, and the answers to what it sends. Beyond it the link is closed.
 */
export const MAX_BUFFERED_BYTES = 3 * MAX_FRAME_BYTES;
/** How long a refused host may take to close before the socket is cut. */
const CLOSE_GRACE_MS = 1_000;
/** WebSocket close code for "you broke a rule"; the reason is our own code. */
const POLICY_VIOLATION = 1008;

export interface SessionDeps {
  readonly key: SigningKey;
  /** What says that `key` is an online key, oldest first. */
  readonly roots: readonly Signed[];
  readonly helloTimeoutMs: number;
  readonly pingIntervalMs: number;
  readonly admit: (nonce: Uint8Array, hello: HelloMessage) => Promise<Admission>;
  readonly onJoined: (session: Session, agent: AgentId) => Promise<void>;
  /** It is known, and an operator has not approved it: `approved()` lets it in. */
  readonly onHeld: (session: Session, agent: AgentId) => Promise<void>;
  readonly onReport: (agent: AgentId, report: ReportMessage) => Promise<void>;
  /** Resolves when the window may be acknowledged. */
  readonly onTelemetry: (agent: AgentId, telemetry: TelemetryMessage) => Promise<void>;
  readonly onEvent: (agent: AgentId, event: EventMessage) => Promise<void>;
  /** What a command came to. */
  readonly onResult: (session: Session, result: ResultMessage) => void;
  readonly onLedger: (agent: AgentId, ledger: LedgerMessage) => void;
  readonly onProgress: (agent: AgentId, progress: ProgressMessage) => void;
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
  /** Settled once the latest report is in the database, or could not be put there. */
  #reported: Promise<unknown> = Promise.resolve();
  #telemetryHeard = 0;
  #protocol = MIN_PROTOCOL_VERSION;
  #held = 0;
  /** Its browser answers pings by itself, and the page hears nothing of them. */
  #isPage = false;
  #nextDocument: (() => Uint8Array) | null = null;
  #isSendingDocument = false;
  #latestDocument = 0;
  readonly #challengeHash: Uint8Array;
  /** What answers are signed with; null before a hello, and for an agent that asks for no proof. */
  #frames: Frames | null = null;

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
    const challenge = encodeDown({
      kind: 'challenge',
      nonce: new Uint8Array(this.#nonce),
      controlKey: new Uint8Array(deps.key.publicKey),
      protocols: { min: MIN_PROTOCOL_VERSION, max: PROTOCOL_VERSION },
      roots: [...deps.roots],
    });
    this.#challengeHash = hashFrame(challenge);
    this.#write(challenge);
  }

  get agent(): AgentId | null {
    return this.#state.kind === 'joined' ? this.#state.agent : null;
  }

  /** The generation that the agent says it has accepted. */
  get held(): number {
    return this.#held;
  }

  /** Settled once the reports that it has sent so far are taken, and with them the results that came behind. */
  get heard(): Promise<unknown> {
    return this.#reported;
  }

  /** The wire that both sides speak: nothing newer may be said. */
  get protocol(): number {
    return this.#protocol;
  }

  /** Nothing is said any more once the link has ended, though its socket may be open for the refusal. */
  send(message: DownMessage): void {
    if (this.#state.kind !== 'closed') this.#write(encodeDown(message));
  }

  /**
   * Sends a document's frame. While an earlier one has not left this process only the latest waits, made when its turn comes:
   * to a host that reads slowly, what is no longer wanted is not sent.
   */
  desire(generation: number, document: () => Uint8Array): void {
    // Read from the database while it or a newer one was published, or the host revoked.
    if (generation <= this.#latestDocument || this.#state.kind === 'closed') return;
    this.#latestDocument = generation;
    this.#nextDocument = document;
    if (!this.#isSendingDocument) this.#sendDocument();
  }

  #sendDocument(): void {
    const document = this.#state.kind === 'closed' ? null : this.#nextDocument;
    this.#nextDocument = null;
    const frame = document === null ? null : this.#made(document);
    this.#isSendingDocument = frame !== null;
    if (frame !== null) this.#write(frame, () => this.#sendDocument());
  }

  /** A document that can't be put into a frame ends its own link, and keeps nobody else's from being sent. */
  #made(document: () => Uint8Array): Uint8Array | null {
    try {
      return document();
    } catch (error) {
      this.#deps.onFailure('document', error);
      this.#step({ kind: 'lost' }, '');
      this.#socket.terminate();
      return null;
    }
  }

  /** Sends an answer that proves this control plane's key, to an agent that asked for it. */
  async answer(answer: Answer): Promise<void> {
    this.send(await this.#proved(answer));
  }

  async #proved(answer: Answer): Promise<Answer> {
    const frames = this.#frames;
    return frames === null ? answer : proveAnswer(this.#deps.key, frames, answer);
  }

  #write(frame: Uint8Array, onSent?: () => void): void {
    const socket = this.#socket;
    if (socket.readyState !== socket.OPEN) return;
    socket.send(frame, onSent);
    if (socket.bufferedAmount <= MAX_BUFFERED_BYTES) return;
    this.#step(
      { kind: 'denied', code: 'too-slow' },
      `${socket.bufferedAmount} bytes wait to be read`,
    );
    socket.terminate();
  }

  replace(): void {
    this.#step({ kind: 'replaced' }, 'a newer link of this agent took over');
  }

  /** An operator has taken this agent out of service. */
  revoke(detail: string): void {
    this.#step({ kind: 'denied', code: 'revoked' }, detail);
  }

  /** An operator has approved the agent that is held here. */
  approved(): void {
    const before = this.#state;
    if (before.kind !== 'pending') return;
    const { agent } = before;
    this.#step({ kind: 'accepted', agent }, '');
    this.#run('hello', this.#deps.onJoined(this, agent));
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
      const frame = new Uint8Array(data);
      this.#handle(decodeUp(frame), frame);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const code = error.kind === 'schema' ? 'bad-message' : 'bad-frame';
      this.#step({ kind: 'malformed', code }, error.message);
    }
  }

  #handle(message: UpMessage, frame: Uint8Array): void {
    const state = this.#step({ kind: message.kind }, `"${message.kind}" is not expected now`);
    if (message.kind === 'hello') {
      if (state.kind === 'verifying') this.#run('hello', this.#admit(message, frame));
      return;
    }
    if (state.kind !== 'joined') return;
    const { agent } = state;
    if (message.kind === 'telemetry') this.#telemetry(agent, message);
    else if (message.kind === 'report') {
      const taken = this.#counted(this.#deps.onReport(agent, message));
      this.#reported = taken.catch(() => undefined);
      this.#run('report', taken);
    } else if (message.kind === 'result') {
      // What a link says is taken in order: who reads an answer finds the report that came before it.
      void this.#reported.then(() => this.#deps.onResult(this, message));
    } else if (message.kind === 'ledger') this.#deps.onLedger(agent, message);
    else if (message.kind === 'progress') this.#deps.onProgress(agent, message);
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

  async #admit(hello: HelloMessage, frame: Uint8Array): Promise<void> {
    if (hello.nonce !== undefined) {
      this.#frames = { challenge: this.#challengeHash, hello: hashFrame(frame) };
    }
    const admission = await this.#deps.admit(this.#nonce, hello);
    if (admission.kind === 'denied') {
      this.#step({ kind: 'denied', code: admission.code }, admission.detail);
      return;
    }
    const { agent } = admission;
    this.#protocol = Math.min(hello.protocol, PROTOCOL_VERSION);
    this.#held = hello.generation;
    this.#isPage = hello.capabilities.runtime === 'browser' && this.#protocol >= ALIVE_SINCE;
    const kind = admission.kind === 'pending' ? 'held' : 'accepted';
    const state = this.#step({ kind, agent }, '');
    clearTimeout(this.#helloTimer);
    if (state.kind === 'pending') await this.#deps.onHeld(this, agent);
    else if (state.kind === 'joined') await this.#deps.onJoined(this, agent);
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
    if (this.#isPage) this.send({ kind: 'alive' });
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
      this.#refuse(code, text).catch((error: unknown) => this.#deps.onFailure('refusal', error));
    }
    this.#deps.onClosed(this, code);
  }

  async #refuse(code: LinkErrorCode, detail: string): Promise<void> {
    setTimeout(() => this.#socket.terminate(), CLOSE_GRACE_MS).unref();
    const refused: RefusedMessage = {
      kind: 'refused',
      code,
      detail,
      retryAfterMs: retryAfterMs(code),
    };
    this.#write(encodeDown(await this.#proved(refused)));
    this.#socket.close(POLICY_VIOLATION, code);
  }
}

/** As the protocol's, without WebCrypto's job for each: a fleet that comes back makes twenty thousand of them. */
function hashFrame(frame: Uint8Array): Uint8Array {
  return hash('sha256', frame, 'buffer');
}
