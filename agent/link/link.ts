import type { IncomingMessage } from 'node:http';
import type { CommandMessage, CommandOutcome } from '../../protocol/command.ts';
import type { DesiredMessage } from '../../protocol/desired.ts';
import type { RefusedMessage } from '../../protocol/error.ts';
import { type Answer, type Frames, hashFrame, isProven } from '../../protocol/handshake.ts';
import {
  type ChallengeMessage,
  type HelloMessage,
  helloTranscript,
  type PendingMessage,
  type WelcomeMessage,
} from '../../protocol/hello.ts';
import type { LeaseMessage } from '../../protocol/lease.ts';
import type { EgressKind } from '../../protocol/ledger.ts';
import { MAX_SKEW_MS, RETRY_AFTER_MS_HEADER } from '../../protocol/limits.ts';
import { fingerprintOf, signBytes } from '../../protocol/signing.ts';
import type { UpMessage } from '../../protocol/up.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { decodeDown, encodeUp, numberedFrame } from '../../protocol/wire.ts';
import { AgentError, messageOf } from '../error.ts';
import { type Identity, pinnedFingerprint } from './identity.ts';
import type { LinkSocket } from './link-socket.ts';
import {
  type Away,
  awayAfterTurnedAway,
  type LinkEvent,
  type LinkState,
  NOT_AWAY,
  nextLinkState,
  reconnectDelayMs,
  waitAfterRefusalMs,
} from './link-state.ts';
import type { Outbox } from './outbox.ts';
import type { OutboxItem } from './outbox-segment.ts';
import type { Anchor, TrustStore } from './trust-store.ts';

export interface LinkOptions {
  readonly controlUrl: string;
  readonly identity: Identity;
  readonly trust: TrustStore;
  readonly outbox: Pick<Outbox, 'take' | 'acknowledge'>;
  readonly join: HelloMessage['join'];
  readonly boot: string;
  readonly capabilities: HelloMessage['capabilities'];
  serving(): string | null;
  generation(): number;
  onDesired(message: DesiredMessage): void;
  /** A renewal of this host's leases, whose signature is still to be verified. */
  onLease?(message: LeaseMessage): void;
  /** It was this late at the control plane, as it has proved, in answer to a hello that was sent `agoMs` ago. */
  onClock?(serverTimeMs: number, agoMs: number): void;
  /** `deadline` on this host's clock. Must not reject: what goes wrong is an outcome too. */
  onCommand(message: CommandMessage): Promise<CommandOutcome>;
  /** A new bearer token for downloads: at each welcome, and renewed while the link is up. */
  onToken(downloadToken: string): void;
  onOnline(): void;
  onState?(state: LinkState): void;
  /** So many bytes of this kind leave the host. */
  onSent(kind: EgressKind, bytes: number): void;
  log(level: 'info' | 'warn', message: string, detail?: object): void;
  connect(url: URL): LinkSocket;
  /** Another clock than the host's, for simulations. */
  now?(): number;
}

/** Windows sent and not yet acknowledged. Bounds what a slow control plane can make this host hold in a socket. */
const MAX_UNACKNOWLEDGED = 64;
/** The control plane is heard every 15 s; three missed and the line is dead, however alive TCP thinks it is. */
const SILENCE_TIMEOUT_MS = 45_000;

/** One WebSocket to the control plane, kept up for as long as the agent runs. Serving never waits for it. */
export class Link {
  readonly #options: LinkOptions;
  #state: LinkState = { name: 'waiting', attempt: 0 };
  #socket: LinkSocket | null = null;
  #timer: NodeJS.Timeout | null = null;
  #silence: NodeJS.Timeout | null = null;
  #away: Away = NOT_AWAY;
  /** When the last link ended, on the clock of `performance.now()`; before the first one, when this began. */
  #lostAtMs = 0;
  #receiving: Promise<void> = Promise.resolve();
  /** What the control plane must have signed by whatever it answers. */
  #handshake: {
    readonly controlKey: Uint8Array;
    readonly anchor: Anchor;
    readonly frames: Frames;
  } | null = null;
  /** How far this host's clock is ahead of the control plane's. */
  #clockAheadMs: number | null = null;
  #helloSentAt = 0;
  /** When what the next welcome answers was said, on the clock of `performance.now()`. */
  #askedMs = 0;
  /** How many items at the head of the outbox are on the wire in this connection. */
  #sent = new Set<string>();
  #telemetrySent = 0;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  get online(): boolean {
    return this.#state.name === 'online';
  }

  /** How far this host's clock is ahead of the control plane's, as measured last; null before the first link. */
  get clockAheadMs(): number | null {
    return this.#clockAheadMs === null ? null : bounded(this.#clockAheadMs);
  }

  start(): void {
    this.#lostAtMs = performance.now();
    this.#connect();
  }

  /** Resolves once what had been received is taken: nothing is written behind it. */
  stop(): Promise<void> {
    this.#apply({ name: 'stop' });
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#socket?.close(1000);
    this.#socket = null;
    return this.#receiving;
  }

  /** Sends when online; a report or event that misses the moment is superseded by the next connection's report. */
  send(message: UpMessage): void {
    if (this.#state.name === 'online') this.#put(message.kind, encodeUp(message));
  }

  #put(kind: UpMessage['kind'], frame: Uint8Array): void {
    this.#socket?.send(frame);
    this.#options.onSent(egressOf(kind), frame.length);
  }

  /** Puts waiting windows on the wire, oldest first. */
  flush(): void {
    if (this.#state.name !== 'online' || this.#socket === null) return;
    const isSent = ({ boot, sequence }: OutboxItem) => this.#sent.has(`${boot}/${sequence}`);
    const most = MAX_UNACKNOWLEDGED - this.#sent.size;
    for (const item of this.#options.outbox.take(most, isSent, () => this.flush())) {
      this.#sent.add(`${item.boot}/${item.sequence}`);
      this.#telemetrySent += 1;
      this.#put('telemetry', numberedFrame(item.frame, this.#telemetrySent));
    }
  }

  #apply(event: LinkEvent): void {
    const before = this.#state;
    this.#state = nextLinkState(before, event);
    if (this.#state.name !== before.name) this.#options.onState?.(this.#state);
  }

  #connect(): void {
    this.#apply({ name: 'timer' });
    if (this.#state.name !== 'connecting') return;
    const url = new URL('/link', this.#options.controlUrl);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    const socket = this.#options.connect(url);
    this.#socket = socket;
    this.#handshake = null;
    this.#sent.clear();
    this.#telemetrySent = 0;
    this.#heard();
    socket.on('ping', (data: Uint8Array) => {
      this.#heard();
      // The pong that answers it, header and mask included.
      this.#options.onSent('link', data.length + 6);
    });
    socket.on('message', (data: Uint8Array) => {
      this.#heard();
      // One after the other: a welcome is on disk before the desired state behind it is looked at.
      this.#receiving = this.#receiving
        .then(() => (this.#socket === socket ? this.#receive(socket, data) : undefined))
        .catch((error: unknown) => {
          this.#options.log('warn', 'link dropped', { reason: messageOf(error) });
          socket.terminate();
        });
    });
    // Without this listener a 503 would be an error without its headers.
    socket.on('unexpected-response', (_request: unknown, response: IncomingMessage) => {
      response.resume();
      this.#turnedAway(response);
      socket.terminate();
    });
    socket.on('error', (error: Error) => {
      this.#options.log('warn', 'link failed', { reason: error.message });
    });
    // Behind what was received: how long to stay away is said last, and must be known before the wait begins.
    socket.on('close', () => {
      this.#receiving = this.#receiving.then(() => this.#closed(socket));
    });
  }

  #turnedAway({ statusCode, headers }: IncomingMessage): void {
    const away = awayAfterTurnedAway(headers[RETRY_AFTER_MS_HEADER], headers['retry-after']);
    const told = { status: statusCode ?? 0, waitMs: away.ms };
    this.#options.log('warn', 'the control plane takes no link now', told);
    this.#away = away;
  }

  #now(): number {
    return this.#options.now?.() ?? Date.now();
  }

  #heard(): void {
    if (this.#silence !== null) clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#socket?.terminate(), SILENCE_TIMEOUT_MS);
  }

  #closed(socket: LinkSocket): void {
    if (this.#socket !== socket) return;
    this.#socket = null;
    if (this.#silence !== null) clearTimeout(this.#silence);
    if (this.online) this.#lostAtMs = performance.now();
    this.#apply({ name: 'closed' });
    if (this.#state.name !== 'waiting') return;
    const withoutLinkMs = performance.now() - this.#lostAtMs;
    const delay = reconnectDelayMs(this.#state.attempt, Math.random(), this.#away, withoutLinkMs);
    this.#away = NOT_AWAY;
    this.#timer = setTimeout(() => this.#connect(), delay);
  }

  async #receive(socket: LinkSocket, data: Uint8Array): Promise<void> {
    const message = decodeDown(data);
    if (message.kind === 'challenge') await this.#prove(message, await hashFrame(data));
    else if (message.kind === 'refused') await this.#refused(message);
    else if (message.kind === 'pending') await this.#held(message);
    else if (message.kind === 'welcome') await this.#welcomed(message);
    else if (message.kind === 'alive' && this.#state.name === 'pending') return;
    else if (this.#state.name !== 'online')
      throw new AgentError('link', `${message.kind} before welcome`);
    else if (message.kind === 'desired') this.#options.onDesired(message);
    else if (message.kind === 'command') this.#command(socket, message);
    else if (message.kind === 'lease') this.#options.onLease?.(message);
    else if (message.kind === 'alive') return;
    else await this.#acknowledged(message.boot, message.sequence);
  }

  /** Not waited for: a command takes seconds, and what comes behind it can't wait. */
  #command(socket: LinkSocket, message: CommandMessage): void {
    const deadline = message.deadline + (this.#clockAheadMs ?? 0);
    this.#options
      .onCommand({ ...message, deadline })
      .then((outcome) => {
        // Another connection never asked for it.
        if (this.#socket !== socket) return;
        this.send({ kind: 'result', id: message.id, outcome });
        // The new key is shown by the next hello.
        if (outcome.ok && outcome.value.name === 'rotate-key') socket.close(1000);
      })
      .catch((error: unknown) => {
        this.#options.log('warn', 'no result of a command', { reason: messageOf(error) });
      });
  }

  async #acknowledged(boot: string, sequence: number): Promise<void> {
    for (const key of this.#sent) {
      const [sentBoot, sentSequence] = key.split('/');
      if (sentBoot === boot && Number(sentSequence) <= sequence) this.#sent.delete(key);
    }
    await this.#options.outbox.acknowledge(boot, sequence);
    this.flush();
  }

  async #prove(challenge: ChallengeMessage, hash: Uint8Array): Promise<void> {
    const { identity, join } = this.#options;
    const { controlKey } = challenge;
    const anchor = await this.#anchorOf(challenge);
    const { publicKey } = identity.key;
    const transcript = helloTranscript(challenge.nonce, controlKey, publicKey);
    // A copy: msgpackr reuses its buffer, and the frame is sent after its hash was waited for.
    const hello = Uint8Array.from(
      encodeUp({
        kind: 'hello',
        protocol: PROTOCOL_VERSION,
        agent: identity.agent,
        publicKey,
        proof: await signBytes(identity.key, transcript),
        nonce: crypto.getRandomValues(new Uint8Array(32)),
        rotation: await identity.rotation(),
        join: identity.agent === null ? join : null,
        boot: this.#options.boot,
        generation: this.#options.generation(),
        serving: this.#options.serving(),
        capabilities: this.#options.capabilities,
      }),
    );
    const frames = { challenge: hash, hello: await hashFrame(hello) };
    this.#handshake = { controlKey, anchor, frames };
    this.#apply({ name: 'challenge' });
    this.#helloSentAt = this.#now();
    this.#askedMs = performance.now();
    this.#put('hello', hello);
  }

  /** The root that vouches for the challenge's key: never whoever answers first. */
  #anchorOf({ roots = [], controlKey }: ChallengeMessage): Promise<Anchor> {
    const { identity, join, trust } = this.#options;
    const key = identity.controlKey;
    if (key !== null) return trust.follow(roots, controlKey, { kind: 'key', key });
    const fingerprint = join === null ? null : pinnedFingerprint(join.token);
    const pin = fingerprint === null ? null : ({ kind: 'fingerprint', fingerprint } as const);
    return trust.follow(roots, controlKey, pin);
  }

  /** The key behind an answer. Throws when it is not the one of the challenge: then anybody may have answered. */
  async #proven(answer: Answer): Promise<Uint8Array> {
    const handshake = this.#handshake;
    if (handshake === null) throw new AgentError('link', `${answer.kind} without a proof`);
    if (!(await isProven(handshake.controlKey, handshake.frames, answer))) {
      const told = `the control plane did not prove its key in its "${answer.kind}": an impostor, or one older than protocol 3`;
      throw new AgentError('link', told);
    }
    await this.#options.trust.keep(handshake.anchor);
    return handshake.controlKey;
  }

  async #welcomed(message: WelcomeMessage): Promise<void> {
    const controlKey = await this.#proven(message);
    if (this.#state.name === 'online') {
      const oneWay = this.#now() - message.serverTimeMs;
      this.#clockAheadMs = renewedSkew(this.#clockAheadMs, oneWay);
      this.#options.onToken(message.downloadToken);
      return;
    }
    // Half of the way there and back: off by at most that half.
    const middle = (this.#helloSentAt + this.#now()) / 2;
    this.#clockAheadMs = Math.round(middle) - message.serverTimeMs;
    await this.#options.identity.admitted(message.agent, controlKey);
    this.#apply({ name: 'welcome' });
    this.#options.log('info', 'joined', { agent: message.agent });
    this.#options.onClock?.(message.serverTimeMs, performance.now() - this.#askedMs);
    this.#options.onToken(message.downloadToken);
    this.#options.onOnline();
    this.flush();
  }

  /** The token is used up: from now on the key is what this host comes back with. */
  async #held(message: PendingMessage): Promise<void> {
    const controlKey = await this.#proven(message);
    const { identity, log } = this.#options;
    await identity.admitted(message.agent, controlKey);
    this.#apply({ name: 'pending' });
    // An operator may take days over it, which is no time that the welcome was under way.
    this.#askedMs = performance.now();
    const fingerprint = await fingerprintOf(identity.key.publicKey);
    log('warn', 'waiting for an operator to approve this host', {
      agent: message.agent,
      fingerprint,
    });
  }

  /** Only the control plane itself can send a host away for good; anybody else on the way, for a while. */
  async #refused(message: RefusedMessage): Promise<void> {
    const { code, detail, retryAfterMs } = message;
    const handshake = this.#handshake;
    const proven =
      handshake !== null && (await isProven(handshake.controlKey, handshake.frames, message));
    this.#options.log('warn', 'refused by the control plane', { code, detail, proven });
    const waitMs = waitAfterRefusalMs(retryAfterMs, proven);
    if (waitMs === null) this.#apply({ name: 'refused', reason: detail });
    else this.#away = { ms: waitMs, isOwnTime: false };
  }
}

/** What one way can hide: a welcome that only renews a token does not say how long it was under way. */
const ONE_WAY_MS = 1_000;

/** A clock that was set while the link stood shows as a jump; anything smaller may be the network. */
function renewedSkew(measured: number | null, oneWay: number): number {
  return measured === null || Math.abs(oneWay - measured) > ONE_WAY_MS ? oneWay : measured;
}

/** A clock that was never set is off by decades; the wire has room for ten years. */
function bounded(aheadMs: number): number {
  return Math.max(-MAX_SKEW_MS, Math.min(MAX_SKEW_MS, aheadMs));
}

/** A hello, and the accounts themselves, are the link's own; how far a download is, is part of what a host reports. */
function egressOf(kind: UpMessage['kind']): EgressKind {
  if (kind === 'hello' || kind === 'ledger') return 'link';
  return kind === 'progress' ? 'report' : kind;
}
