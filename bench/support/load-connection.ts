import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: (\d+)/i;

/** One keep-alive HTTP/1.1 connection with at most one request on its way. */
export class LoadConnection {
  readonly #socket: Socket;
  readonly #onAnswer: (connection: LoadConnection, ok: boolean) => void;
  #received: Buffer | null = null;
  #waiting = false;
  /** When the request on its way was written, by `performance.now()`. */
  sentAt = 0;

  private constructor(socket: Socket, onAnswer: (connection: LoadConnection, ok: boolean) => void) {
    this.#socket = socket;
    this.#onAnswer = onAnswer;
    socket.on('data', (chunk) => this.#read(chunk));
    // 'close' follows every error; a request without an answer is what counts.
    socket.on('error', () => undefined);
    socket.on('close', () => this.#settle(false));
  }

  static open(
    port: number,
    onAnswer: (connection: LoadConnection, ok: boolean) => void,
  ): Promise<LoadConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true });
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        resolve(new LoadConnection(socket, onAnswer));
      });
    });
  }

  get open(): boolean {
    return !this.#socket.destroyed;
  }

  send(request: Buffer): void {
    this.#waiting = true;
    this.sentAt = performance.now();
    this.#socket.write(request);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const received = this.#received === null ? chunk : Buffer.concat([this.#received, chunk]);
    this.#received = received;
    const headEnd = received.indexOf(HEAD_END);
    if (headEnd === -1) return;
    const head = received.toString('latin1', 0, headEnd);
    const length = CONTENT_LENGTH.exec(head)?.[1];
    if (length === undefined) {
      this.close(); // neither server answers in chunks
      return;
    }
    if (received.length < headEnd + HEAD_END.length + Number(length)) return;
    this.#received = null;
    this.#settle(head.startsWith('HTTP/1.1 200 '));
  }

  #settle(ok: boolean): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#onAnswer(this, ok);
  }
}
