import { once } from 'node:events';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import type { DownMessage } from '../../../protocol/down.ts';
import { type Answer, hashFrame, proveAnswer } from '../../../protocol/handshake.ts';
import type { WelcomeMessage } from '../../../protocol/hello.ts';
import type { SigningKey } from '../../../protocol/signing.ts';
import type { Signed } from '../../../protocol/trust/signed.ts';
import type { UpMessage } from '../../../protocol/up.ts';
import { decodeUp, encodeDown } from '../../../protocol/wire.ts';
import { type Keys, newKeys, signRoot } from '../../support/roots.ts';

type Up<K extends UpMessage['kind']> = Extract<UpMessage, { kind: K }>;

export const AGENT = `agt_${'c'.repeat(24)}`;

/** At this control plane it is 1970. */
export const WELCOME: WelcomeMessage = {
  ...{ kind: 'welcome', protocol: 3, agent: AGENT, serverTimeMs: 0, downloadToken: 'dld_t' },
};

/** The other end of an agent's link over a real socket: says what a test tells it to, and keeps what it hears. */
export class ControlEnd {
  readonly key: SigningKey;
  /** The chain of roots that its challenges show. */
  roots: readonly Signed[];
  readonly heard: UpMessage[] = [];
  readonly #server: WebSocketServer;
  #socket: WebSocket | null = null;
  #challenge: Uint8Array = new Uint8Array();
  #hello: Uint8Array = new Uint8Array();
  #wake: (() => void)[] = [];
  connections = 0;
  closed = 0;

  private constructor(keys: Keys, root: Signed, server: WebSocketServer) {
    this.key = keys.online;
    this.roots = [root];
    this.#server = server;
    server.on('connection', (socket) => {
      this.#socket = socket;
      this.connections += 1;
      socket.on('message', (data) => {
        const frame = new Uint8Array(data as Buffer);
        const message = decodeUp(frame);
        if (message.kind === 'hello') this.#hello = frame;
        this.heard.push(message);
        this.#changed();
      });
      socket.on('close', () => {
        this.closed += 1;
        this.#changed();
      });
      this.#changed();
    });
  }

  /** With the keys that a test gives it, and where given, on a server that serves more than links. */
  static async listen(given?: Keys, http?: Server): Promise<ControlEnd> {
    const keys = given ?? (await newKeys());
    const place = http === undefined ? { port: 0, host: '127.0.0.1' } : { server: http };
    const server = new WebSocketServer({ ...place, path: '/link' });
    if (http === undefined) await once(server, 'listening');
    return new ControlEnd(keys, await signRoot(keys), server);
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  #changed(): void {
    const wake = this.#wake;
    this.#wake = [];
    for (const each of wake) each();
  }

  /** Waits for what the agent does, and looks again at each of its messages. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#wake.push(resolve));
  }

  async heardOf<K extends UpMessage['kind']>(kind: K, count = 1): Promise<Up<K>[]> {
    const found = () => this.heard.filter((message): message is Up<K> => message.kind === kind);
    await this.until(() => found().length >= count);
    return found();
  }

  say(message: DownMessage): void {
    this.#socket?.send(encodeDown(message));
  }

  challenge(controlKey = this.key.publicKey): void {
    const nonce = new Uint8Array(32).fill(this.connections);
    const protocols = { min: 1, max: 3 };
    this.#challenge = encodeDown({
      kind: 'challenge',
      nonce,
      controlKey,
      protocols,
      roots: [...this.roots],
    }).slice();
    this.#socket?.send(this.#challenge);
  }

  /** What this control plane answers to the latest hello, with the proof of its key or of another. */
  async answer(answer: Answer, key = this.key): Promise<void> {
    this.say(await this.proven(answer, key));
  }

  async proven<T extends Answer>(answer: T, key = this.key): Promise<T> {
    const [challenge, hello] = [await hashFrame(this.#challenge), await hashFrame(this.#hello)];
    return proveAnswer(key, { challenge, hello }, answer);
  }

  welcome(key = this.key, serverTimeMs = WELCOME.serverTimeMs): Promise<void> {
    return this.answer({ ...WELCOME, serverTimeMs }, key);
  }

  hangUp(): void {
    this.#socket?.terminate();
  }

  async close(): Promise<void> {
    for (const client of this.#server.clients) client.terminate();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
