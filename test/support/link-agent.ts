import { randomBytes } from 'node:crypto';
import { WebSocket } from 'ws';
import { type DesiredState, desiredStateSchema } from '../../protocol/desired.ts';
import type { DownMessage } from '../../protocol/down.ts';
import { hashFrame, isProven } from '../../protocol/handshake.ts';
import { type HelloMessage, helloTranscript } from '../../protocol/hello.ts';
import type { AgentId, Arm, Labels } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import { generateSigningKey, open, type SigningKey, signBytes } from '../../protocol/signing.ts';
import { encodeWindow } from '../../protocol/sketch/codec.ts';
import type { WindowSketch } from '../../protocol/sketch/window.ts';
import type { TelemetryMessage } from '../../protocol/telemetry.ts';
import type { UpMessage } from '../../protocol/up.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { decodeDown, encodeUp } from '../../protocol/wire.ts';

export type Down<K extends DownMessage['kind']> = Extract<DownMessage, { kind: K }>;

export interface Place {
  readonly deployment: string;
  readonly manifest: string;
  readonly arm: Arm;
  readonly windowStartMs: number;
  readonly windowMs: number;
}

/**
 * A host that speaks the real protocol over a real socket, without models: it says that it applied
 * whatever it is told. Keeps its key and its outbox over reconnects, as an agent does on disk.
 */
export class LinkAgent {
  key: SigningKey;
  id: AgentId | null = null;
  boot = randomBytes(8).toString('hex');
  /** The document in force, verified. */
  desired: DesiredState | null = null;
  downloadToken = '';
  /** Manifests it refuses to serve. */
  readonly refuses = new Set<string>();
  /** False: it takes documents in and does not apply them. */
  applies = true;
  /** Sent and not acknowledged. */
  readonly outbox: TelemetryMessage[] = [];
  acknowledged = 0;
  readonly received: DownMessage[] = [];
  /** Whether the latest answer to a hello was signed by the key of the challenge. */
  proven: boolean | null = null;
  readonly #frames: { challenge: Uint8Array; hello: Uint8Array } = {
    challenge: new Uint8Array(),
    hello: new Uint8Array(),
  };
  #sequence = 0;
  #socket: WebSocket | null = null;
  #waiting: (() => void)[] = [];
  #applied = 0;
  #controlKey: Uint8Array = new Uint8Array();
  closed: { code: number; reason: string } | null = null;

  private constructor(key: SigningKey) {
    this.key = key;
  }

  static async create(): Promise<LinkAgent> {
    return new LinkAgent((await generateSigningKey()).key);
  }

  /** Opens a link and waits for what the control plane says last on a join: the document. */
  async join(url: string, token: string | null, name = 'host', labels: Labels = {}): Promise<this> {
    const challenge = await this.open(url);
    const join = token === null ? null : { token, name, labels };
    this.send(await this.hello(challenge, { join }));
    await this.until(() => this.desired !== null || this.closed !== null);
    return this;
  }

  async open(url: string): Promise<Down<'challenge'>> {
    this.received.length = 0;
    this.proven = null;
    this.desired = null;
    this.closed = null;
    const socket = new WebSocket(url, { perMessageDeflate: false });
    this.#socket = socket;
    // One after the other: a signature is checked asynchronously, and order is part of the protocol.
    let tail: Promise<void> = Promise.resolve();
    socket.on('message', (data) => {
      tail = tail.then(() => this.#take(new Uint8Array(data as Buffer)));
    });
    socket.on('error', () => this.#wake());
    socket.on('close', (code, reason) => {
      tail = tail.then(() => {
        this.closed = { code, reason: String(reason) };
        this.#wake();
      });
    });
    await this.until(() => this.received.some((message) => message.kind === 'challenge'));
    return this.last('challenge');
  }

  async hello(challenge: Down<'challenge'>, change: Partial<HelloMessage>): Promise<HelloMessage> {
    this.#controlKey = challenge.controlKey;
    const { nonce, controlKey } = challenge;
    const transcript = helloTranscript(nonce, controlKey, this.key.publicKey);
    return {
      kind: 'hello',
      protocol: PROTOCOL_VERSION,
      agent: this.id,
      publicKey: new Uint8Array(this.key.publicKey),
      proof: new Uint8Array(await signBytes(this.key, transcript)),
      nonce: new Uint8Array(randomBytes(32)),
      join: null,
      boot: this.boot,
      generation: this.#applied,
      serving: 'http://127.0.0.1:8000',
      capabilities: {
        runtime: 'node',
        runtimeVersion: '20.19.0',
        platform: 'linux-x64',
        cores: 4,
        engines: 2,
        providers: ['cpu'],
      },
      ...change,
    };
  }

  send(message: UpMessage): void {
    const frame = Uint8Array.from(encodeUp(message));
    if (message.kind === 'hello') this.#frames.hello = frame;
    this.raw(frame);
  }

  raw(frame: Uint8Array | string): void {
    this.#socket?.send(frame);
  }

  /** Puts a window into the outbox and sends it. */
  window(place: Place, window: WindowSketch): TelemetryMessage {
    this.#sequence += 1;
    const { boot } = this;
    const body = encodeWindow(window);
    const from = { boot, sequence: this.#sequence, clockAheadMs: null, windows: 1 };
    const message = { kind: 'telemetry' as const, ...from, ...place, body };
    this.outbox.push(message);
    this.send(message);
    return message;
  }

  resend(): void {
    for (const message of this.outbox) this.send(message);
  }

  async acked(): Promise<void> {
    await this.until(() => this.outbox.length === 0);
  }

  report(): void {
    if (this.desired === null) return;
    const { generation } = this.desired;
    if (this.applies) this.#applied = generation;
    const deployments: ReportMessage['deployments'] = this.desired.deployments.map(
      (deployment) => ({
        name: deployment.name,
        arms: deployment.arms.map(({ arm, version, manifest, share }) =>
          this.refuses.has(manifest)
            ? {
                arm,
                version,
                manifest,
                state: 'refused',
                code: 'golden-mismatch',
                detail: 'off by 0.2',
              }
            : { arm, version, manifest, state: 'serving', share },
        ),
      }),
    );
    const applied = this.#applied;
    this.send({ kind: 'report', observed: generation, applied, at: Date.now(), deployments });
  }

  /** Arms of a deployment as [arm, version, share]. */
  arms(name: string): [string, number, number][] | null {
    const deployment = this.desired?.deployments.find((candidate) => candidate.name === name);
    return deployment?.arms.map((arm) => [arm.arm, arm.version, arm.share]) ?? null;
  }

  last<K extends DownMessage['kind']>(kind: K): Down<K> {
    const found = this.received.findLast((message): message is Down<K> => message.kind === kind);
    if (found === undefined) throw new Error(`no "${kind}" was received`);
    return found;
  }

  /** Waits for messages until `done`; a test that waits for ever is ended by its own timeout. */
  async until(done: () => boolean): Promise<void> {
    while (!done()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Says goodbye behind what it has said. */
  async leave(): Promise<void> {
    this.#socket?.close(1000);
    await this.until(() => this.closed !== null);
  }

  /** Cuts the line as a crash does. */
  async cut(): Promise<void> {
    this.#socket?.terminate();
    await this.until(() => this.closed !== null);
  }

  async #take(frame: Uint8Array): Promise<void> {
    const message = decodeDown(frame);
    if (message.kind === 'challenge') this.#frames.challenge = frame;
    const { kind } = message;
    if (kind === 'welcome' || kind === 'pending' || kind === 'refused') {
      const frames = {
        challenge: await hashFrame(this.#frames.challenge),
        hello: await hashFrame(this.#frames.hello),
      };
      this.proven =
        this.#controlKey.length > 0 && (await isProven(this.#controlKey, frames, message));
    }
    if (message.kind === 'pending') this.id = message.agent;
    this.received.push(message);
    if (message.kind === 'welcome') {
      this.id = message.agent;
      this.downloadToken = message.downloadToken;
    }
    if (message.kind === 'ack') {
      this.acknowledged += 1;
      const kept = this.outbox.filter((sent) => sent.sequence > message.sequence);
      this.outbox.splice(0, this.outbox.length, ...kept);
    }
    if (message.kind === 'desired') {
      const payload = await open(this.#controlKey, 'desired', message.envelope);
      this.desired = desiredStateSchema.parse(JSON.parse(new TextDecoder().decode(payload)));
      this.report();
    }
    this.#wake();
  }

  #wake(): void {
    for (const resume of this.#waiting.splice(0)) resume();
  }
}
