import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
const CONTENT_LENGTH = /\r\ncontent-length: (\d+)/i;
const LAST_CHUNK = Buffer.from('0\r\n\r\n');
const OK = 'HTTP/1.1 200 ';
/** Of one read. Answers are small; what is larger is put together. */
const READ_BYTES = 16 * 1024;

export type OnAnswer = (connection: LoadConnection, ok: boolean) => void;

/** One keep-alive HTTP/1.1 connection with at most one request on its way. */
export class LoadConnection {
  readonly #socket: Socket;
  readonly #onAnswer: OnAnswer;
  #received: Buffer | null = null;
  #waiting = false;
  /** When the request on its way was written, by `performance.now()`. */
  sentAt = 0;

  private constructor(port: number, onAnswer: OnAnswer) {
    this.#onAnswer = onAnswer;
    // Reads land in this buffer and in no stream: the generator has to be faster than what it measures.
    const onread = {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback: (bytes: number, buffer: Uint8Array) => {
        this.#read(Buffer.from(buffer.buffer, buffer.byteOffset, bytes));
        return true;
      },
    };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread });
    // 'close' follows every error; a request without an answer is what counts.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => this.#settle(false));
  }

  static open(port: number, onAnswer: OnAnswer): Promise<LoadConnection> {
    const connection = new LoadConnection(port, onAnswer);
    return new Promise((resolve, reject) => {
      const socket = connection.#socket;
      const failed = () => reject(new Error(`nothing listens on port ${port}`));
      socket.once('close', failed);
      socket.once('connect', () => {
        socket.off('close', failed);
        resolve(connection);
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
    const headEnd = received.indexOf(HEAD_END);
    const head = headEnd === -1 ? '' : received.toString('latin1', 0, headEnd);
    if (headEnd === -1 || !isWhole(received, head, headEnd + HEAD_END.length)) {
      this.#received = received === chunk ? Buffer.from(chunk) : received;
      return;
    }
    this.#received = null;
    this.#settle(head.startsWith(OK));
  }

  #settle(ok: boolean): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#onAnswer(this, ok);
  }
}

/** An answer of a stated length, or in chunks: with one request on its way, the last chunk ends what was received. */
function isWhole(received: Buffer, head: string, bodyStart: number): boolean {
  const length = CONTENT_LENGTH.exec(head)?.[1];
  return length === undefined
    ? received.length > bodyStart && received.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
    : received.length >= bodyStart + Number(length);
}
