import type { LinkSocket } from '../link/link-socket.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

type Listener = (...values: never[]) => void;

/** A browser's WebSocket, as a link uses one. It answers pings by itself and does not tell of them. */
export class PageSocket implements LinkSocket {
  readonly #socket: WebSocket;
  readonly #listeners = new Map<string, Listener>();
  readonly #handshake: ReturnType<typeof setTimeout>;
  #isClosed = false;

  constructor(url: URL) {
    this.#socket = new WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#handshake = setTimeout(() => this.terminate(), HANDSHAKE_TIMEOUT_MS);
    this.#socket.onopen = () => clearTimeout(this.#handshake);
    this.#socket.onmessage = ({ data }: MessageEvent<unknown>) => {
      // Text is nothing that a control plane says; as bytes it is refused where frames are read.
      const frame = data instanceof ArrayBuffer ? data : new TextEncoder().encode(String(data));
      this.#emit('message', new Uint8Array(frame));
    };
    this.#socket.onerror = () => {
      this.#emit('error', new Error(`no WebSocket to ${url.origin}, the browser says no more`));
    };
    this.#socket.onclose = () => this.#close();
  }

  on(event: string, listener: Listener): this {
    this.#listeners.set(event, listener);
    return this;
  }

  send(data: Uint8Array): void {
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#socket.send(data as Uint8Array<ArrayBuffer>);
  }

  close(code?: number): void {
    this.#socket.close(code);
  }

  /** A browser waits for the other end to say goodbye, which on a dead line takes minutes: the link does not. */
  terminate(): void {
    this.#socket.close();
    this.#close();
  }

  #close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#handshake);
    this.#emit('close', undefined);
  }

  #emit(event: string, value: unknown): void {
    if (this.#isClosed && event !== 'close') return;
    this.#listeners.get(event)?.(value as never);
  }
}
