import { connect, type Socket } from 'node:net';

/** HTTP/2 frames (RFC 9113) as far as a load generator needs them: node's own client costs more than the server. */
const FRAME_HEAD_BYTES = 9;
const DATA = 0;
const HEADERS = 1;
const RST_STREAM = 3;
const SETTINGS = 4;
const WINDOW_UPDATE = 8;
const END_STREAM = 1;
const END_HEADERS = 4;
const MAX_FRAME_BYTES = 16_384;
const INITIAL_WINDOW_SIZE = 4;
const LARGEST_WINDOW = 2 ** 31 - 1;
/** Answers of one connection before its window is opened again. */
const WINDOW_BYTES = 2 ** 30;

const PREFACE = Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
const PATH = '/inference.GRPCInferenceService/ModelInfer';

export type OnGrpcAnswer = (connection: GrpcLoadConnection, latencyUs: number, ok: boolean) => void;

/** One connection with a few calls on their way; an answer with a message counts, trailers alone are an error. */
export class GrpcLoadConnection {
  readonly #socket: Socket;
  readonly #onAnswer: OnGrpcAnswer;
  readonly #calls = new Map<number, { readonly sentAt: number; answered: boolean }>();
  #received: Buffer = Buffer.alloc(0);
  #nextStream = 1;
  #readBytes = 0;

  private constructor(port: number, onAnswer: OnGrpcAnswer) {
    this.#onAnswer = onAnswer;
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('data', (chunk) => this.#read(chunk));
    // 'close' follows every error; a call without an answer is what counts.
    this.#socket.on('error', () => undefined);
    this.#socket.on('close', () => {
      for (const stream of [...this.#calls.keys()]) this.#settle(stream, false);
    });
  }

  static open(port: number, onAnswer: OnGrpcAnswer): Promise<GrpcLoadConnection> {
    const connection = new GrpcLoadConnection(port, onAnswer);
    return new Promise((resolve, reject) => {
      const socket = connection.#socket;
      socket.once('error', reject);
      socket.once('connect', () => {
        socket.off('error', reject);
        const window = Buffer.alloc(6);
        window.writeUInt16BE(INITIAL_WINDOW_SIZE, 0);
        window.writeUInt32BE(LARGEST_WINDOW, 2);
        socket.write(Buffer.concat([PREFACE, frame(SETTINGS, 0, 0, window), opened()]));
        resolve(connection);
      });
    });
  }

  get open(): boolean {
    return !this.#socket.destroyed;
  }

  /** `body`: the message behind its prefix. */
  send(body: Buffer): void {
    const stream = this.#nextStream;
    this.#nextStream += 2;
    this.#calls.set(stream, { sentAt: performance.now(), answered: false });
    const frames = [
      frame(HEADERS, END_HEADERS, stream, stream === 1 ? FIRST_HEADERS : LATER_HEADERS),
    ];
    for (let at = 0; at < body.length; at += MAX_FRAME_BYTES) {
      const end = Math.min(body.length, at + MAX_FRAME_BYTES);
      const flags = end === body.length ? END_STREAM : 0;
      frames.push(frame(DATA, flags, stream, body.subarray(at, end)));
    }
    this.#socket.write(frames.length === 1 ? frames[0] : Buffer.concat(frames));
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    const bytes = this.#received.length === 0 ? chunk : Buffer.concat([this.#received, chunk]);
    let at = 0;
    while (bytes.length - at >= FRAME_HEAD_BYTES) {
      const length = bytes.readUIntBE(at, 3);
      if (bytes.length - at < FRAME_HEAD_BYTES + length) break;
      this.#frame(bytes[at + 3], bytes[at + 4], bytes.readUInt32BE(at + 5), length);
      at += FRAME_HEAD_BYTES + length;
    }
    this.#received = bytes.subarray(at);
  }

  #frame(type: number, flags: number, stream: number, length: number): void {
    if (type === SETTINGS && flags === 0)
      this.#socket.write(frame(SETTINGS, 1, 0, Buffer.alloc(0)));
    if (type === DATA) {
      this.#readBytes += length;
      const call = this.#calls.get(stream);
      if (call !== undefined && length > 0) call.answered = true;
    }
    if ((type === DATA || type === HEADERS) && (flags & END_STREAM) !== 0) {
      this.#settle(stream, this.#calls.get(stream)?.answered ?? false);
    }
    if (type === RST_STREAM) this.#settle(stream, false);
    if (this.#readBytes > WINDOW_BYTES / 2) {
      this.#readBytes = 0;
      this.#socket.write(opened(WINDOW_BYTES / 2));
    }
  }

  #settle(stream: number, ok: boolean): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    this.#calls.delete(stream);
    this.#onAnswer(this, (performance.now() - call.sentAt) * 1000, ok);
  }
}

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.allocUnsafe(FRAME_HEAD_BYTES);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function opened(sizeBytes = WINDOW_BYTES): Buffer {
  const window = Buffer.alloc(4);
  window.writeUInt32BE(sizeBytes, 0);
  return frame(WINDOW_UPDATE, 0, 0, window);
}

/** HPACK (RFC 7541): the first call puts its headers into the connection's table, later ones name their places. */
const text = (value: string) => Buffer.concat([Buffer.from([value.length]), Buffer.from(value)]);
const FIRST_HEADERS = Buffer.concat([
  Buffer.from([0x83, 0x86, 0x44]),
  text(PATH),
  Buffer.from([0x41]),
  text('127.0.0.1'),
  Buffer.from([0x5f]),
  text('application/grpc'),
  Buffer.from([0x40]),
  text('te'),
  text('trailers'),
]);
const LATER_HEADERS = Buffer.from([0x83, 0x86, 0xc1, 0xc0, 0xbf, 0xbe]);
