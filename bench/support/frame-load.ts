import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { drawWindows } from '../../agent/simulate/traffic.ts';
import { type ChallengeMessage, helloTranscript } from '../../protocol/hello.ts';
import { parseManifest } from '../../protocol/manifest.ts';
import { parseProfile } from '../../protocol/profile.ts';
import { generateSigningKey, signBytes } from '../../protocol/signing.ts';
import { PROTOCOL_VERSION } from '../../protocol/version.ts';
import { decodeDown, encodeUp, numberedFrame } from '../../protocol/wire.ts';
import { seeded } from '../../test/support/random-models.ts';
import { answerCommands } from './child.ts';
import { binaryFrame, RawLink } from './raw-link.ts';

export type FrameLoadCommand =
  | {
      readonly kind: 'windows';
      readonly manifestPath: string;
      readonly profilePath: string;
      readonly deployment: string;
      readonly manifest: string;
      readonly windowMs: number;
      readonly rows: number;
    }
  /** One link for each token, which says a good hello. */
  | { readonly kind: 'join'; readonly port: number; readonly tokens: readonly string[] }
  /** So many links that say nothing. */
  | { readonly kind: 'open'; readonly port: number; readonly links: number }
  /** So many windows on each link of a side, at most `MAX_UNACKNOWLEDGED` under way. */
  | { readonly kind: 'send'; readonly side: Side; readonly windows: number };
export type Side = 'control' | 'bare';

export interface FrameLoadAnswer {
  /** Of `send`: from the first byte written until the last answer. */
  readonly ms: number;
  /** Of the last window made, with the WebSocket's head. */
  readonly frameBytes: number;
  /** Largest seen of ping and pong, with their heads; 0: there was none. */
  readonly pingBytes: number;
  readonly pongBytes: number;
}

/** What a host has on the wire: `agent/link`. */
const MAX_UNACKNOWLEDGED = 64;
const AT_ONCE = 50;
/** Windows end before now. */
const BACK_MS = 7 * 86_400_000;
/** How a msgpack map begins whose first entry is `kind: 'ack'`. */
const ACK_HEAD = Buffer.from('\x83\xa4kind\xa3ack', 'latin1');

interface Place {
  readonly deployment: string;
  readonly manifest: string;
  readonly arm: 'stable';
  readonly windowMs: number;
}

let bodies: readonly Uint8Array[] = [];
let place: Place | null = null;
let frameBytes = 0;
const startMs = Date.now() - BACK_MS;

/** One link and its windows, each of which is another. */
class Sender {
  readonly link: RawLink;
  readonly #boot = randomBytes(8).toString('hex');
  #sequence = 0;
  #answers = 0;
  #wake: () => void = () => undefined;

  constructor(link: RawLink, isAnswer: (payload: Buffer) => boolean) {
    this.link = link;
    link.onFrame = (payload) => {
      if (!isAnswer(payload)) return;
      this.#answers += 1;
      this.#wake();
    };
  }

  /** Windows as one run of bytes for each batch that may be under way. */
  prepare(windows: number): readonly Buffer[] {
    const batches: Buffer[] = [];
    for (let left = windows; left > 0; left -= MAX_UNACKNOWLEDGED) {
      const frames = Array.from({ length: Math.min(left, MAX_UNACKNOWLEDGED) }, () => this.#next());
      batches.push(Buffer.concat(frames));
    }
    return batches;
  }

  async send(batches: readonly Buffer[], windows: number): Promise<void> {
    const done = this.#answers + windows;
    for (const [at, batch] of batches.entries()) {
      const wanted = Math.min(done, this.#answers + MAX_UNACKNOWLEDGED);
      this.link.write(batch);
      await this.#answered(at === batches.length - 1 ? done : wanted);
    }
  }

  async #answered(count: number): Promise<void> {
    while (this.#answers < count) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
  }

  #next(): Buffer {
    if (place === null) throw new Error('"windows" comes first');
    this.#sequence += 1;
    const { windowMs } = place;
    const frame = encodeUp({
      ...{ kind: 'telemetry', boot: this.#boot, sequence: this.#sequence, ...place },
      windowStartMs: startMs - (startMs % windowMs) + this.#sequence * windowMs,
      ...{ clockAheadMs: 0, windows: 1, body: bodies[this.#sequence % bodies.length] },
    });
    const whole = binaryFrame(numberedFrame(frame, this.#sequence));
    frameBytes = whole.length;
    return whole;
  }
}

const senders: Record<Side, Sender[]> = { control: [], bare: [] };

async function join(port: number, token: string, at: number): Promise<Sender> {
  const { key } = await generateSigningKey();
  const hello = async ({ nonce, controlKey }: ChallengeMessage) => {
    const proof = await signBytes(key, helloTranscript(nonce, controlKey, key.publicKey));
    return encodeUp({
      ...{ kind: 'hello', protocol: PROTOCOL_VERSION, agent: null, generation: 0, serving: null },
      publicKey: new Uint8Array(key.publicKey),
      ...{ proof: new Uint8Array(proof), nonce: new Uint8Array(randomBytes(32)) },
      join: { token, name: `host-${at}`, labels: {} },
      boot: randomBytes(8).toString('hex'),
      capabilities: {
        ...{ runtime: 'node', runtimeVersion: process.versions.node, platform: 'linux-x64' },
        ...{ cores: 4, engines: 1, providers: ['cpu'] },
      },
    });
  };
  return new Promise((joined, failed) => {
    RawLink.open(port, '/link', (link, payload) => {
      const message = decodeDown(new Uint8Array(payload));
      if (message.kind === 'refused') failed(new Error(message.detail));
      if (message.kind === 'desired') joined(new Sender(link, isAck));
      if (message.kind === 'challenge') {
        hello(message).then((frame) => link.write(binaryFrame(frame)), failed);
      }
    }).catch(failed);
  });
}

const isAck = (payload: Buffer) => ACK_HEAD.equals(payload.subarray(0, ACK_HEAD.length));

async function open(port: number): Promise<Sender> {
  return new Sender(await RawLink.open(port, '/', () => undefined), () => true);
}

async function some<T>(all: readonly T[], work: (one: T, at: number) => Promise<Sender>) {
  const made: Sender[] = [];
  for (let from = 0; from < all.length; from += AT_ONCE) {
    const part = all.slice(from, from + AT_ONCE);
    made.push(...(await Promise.all(part.map((one, at) => work(one, from + at)))));
  }
  return made;
}

async function send(side: Side, windows: number): Promise<number> {
  const ready = senders[side].map((sender) => ({ sender, batches: sender.prepare(windows) }));
  const start = performance.now();
  await Promise.all(ready.map(({ sender, batches }) => sender.send(batches, windows)));
  return performance.now() - start;
}

async function handle(command: FrameLoadCommand): Promise<number> {
  switch (command.kind) {
    case 'windows': {
      const { deployment, manifest, windowMs, rows } = command;
      const document = parseManifest(await readFile(command.manifestPath));
      const profile = parseProfile(await readFile(command.profilePath));
      bodies = drawWindows(document, profile, rows, seeded(5));
      place = { deployment, manifest, arm: 'stable', windowMs };
      return 0;
    }
    case 'join':
      senders.control = await some(command.tokens, (token, at) => join(command.port, token, at));
      return 0;
    case 'open':
      senders.bare = await some(Array.from({ length: command.links }), () => open(command.port));
      return 0;
    case 'send':
      return send(command.side, command.windows);
  }
}

function answer(ms: number): FrameLoadAnswer {
  const heartbeats = senders.control.map(({ link }) => link.heartbeat);
  const pingBytes = Math.max(0, ...heartbeats.map((each) => each.pingBytes));
  const pongBytes = Math.max(0, ...heartbeats.map((each) => each.pongBytes));
  return { ms, frameBytes, pingBytes, pongBytes };
}

answerCommands<FrameLoadCommand, FrameLoadAnswer>(answer(0), async (command) =>
  answer(await handle(command)),
);
