import { type RawData, WebSocket } from 'ws';
import type { LinkSocket } from '../link/link-socket.ts';
import { openSocket } from '../link/node-socket.ts';
import type { Faults } from './config.ts';

/** How long a frame waits to be overtaken, when nothing comes after it. */
const OVERTAKEN_WITHIN_MS = 50;

interface Held {
  readonly data: Uint8Array;
  readonly timer: NodeJS.Timeout;
}

/** Looks at a frame that has come; true: it is to be delivered by `deliver`, later. */
export type Early = (frame: Uint8Array, deliver: () => void) => boolean;

/**
 * A real WebSocket on a bad network. Frames take their time in both directions; those of the agent may be lost (with the
 * connection), repeated or overtaken. The handshake is left alone until `begin`: a lost one is only a later one.
 */
export class FaultySocket implements LinkSocket {
  readonly #socket: WebSocket;
  readonly #faults: Faults;
  readonly #random: () => number;
  #isBad = false;
  #held: Held | null = null;
  /** When the last frame of each direction arrives: none overtakes another by being quicker. */
  #upUntilMs = 0;
  #downUntilMs = 0;

  readonly #takes: Early;

  constructor(url: URL, faults: Faults, random: () => number, takes: Early = () => false) {
    this.#socket = openSocket(url, null);
    this.#faults = faults;
    this.#random = random;
    this.#takes = takes;
  }

  /** From here on the network is as bad as it was told to be. */
  begin(): void {
    this.#isBad = true;
  }

  on(event: string, listener: (...args: never[]) => void): this {
    if (event !== 'message') {
      this.#socket.on(event, listener as (...args: unknown[]) => void);
      return this;
    }
    const take = listener as unknown as (data: RawData, isBinary: boolean) => void;
    this.#socket.on('message', (data, isBinary) => {
      if (this.#isLost()) return;
      this.#downUntilMs = this.#later(this.#downUntilMs, () => {
        const deliver = () => take(data, isBinary);
        if (!(data instanceof Uint8Array && this.#takes(data, deliver))) deliver();
      });
    });
    return this;
  }

  send(data: Uint8Array): void {
    if (!this.#isBad) {
      this.#socket.send(data);
      return;
    }
    if (this.#isLost()) return;
    const held = this.#held;
    if (held === null && this.#random() < this.#faults.reorder) {
      const timer = setTimeout(() => this.#release(), OVERTAKEN_WITHIN_MS);
      this.#held = { data, timer };
      return;
    }
    this.#put(data);
    this.#release();
    if (this.#random() < this.#faults.duplicate) this.#put(data);
  }

  #release(): void {
    if (this.#held === null) return;
    const { data, timer } = this.#held;
    clearTimeout(timer);
    this.#held = null;
    this.#put(data);
  }

  #put(data: Uint8Array): void {
    this.#upUntilMs = this.#later(this.#upUntilMs, () => {
      if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(data);
    });
  }

  #isLost(): boolean {
    if (!this.#isBad || this.#random() >= this.#faults.drop) return false;
    this.#socket.terminate();
    return true;
  }

  #later(notBeforeMs: number, arrive: () => void): number {
    const { delayMs } = this.#faults;
    if (delayMs === 0 || !this.#isBad) {
      arrive();
      return 0;
    }
    const now = performance.now();
    const atMs = Math.max(notBeforeMs, now - delayMs * Math.log(1 - this.#random()));
    setTimeout(arrive, atMs - now);
    return atMs;
  }

  close(code?: number): void {
    this.#socket.close(code);
  }

  terminate(): void {
    this.#socket.terminate();
  }
}
