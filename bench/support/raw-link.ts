import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const BINARY = 2;
const PING = 9;
const PONG = 10;
/** Client frames are masked; with this mask the bytes stay as they are, and the server unmasks them all the same. */
const NO_MASK = Buffer.alloc(4);

/** Bytes of a client's frame of so many bytes of payload. */
export function clientFrame(opcode: number, payload: Uint8Array): Buffer {
  const { length } = payload;
  const head =
    length < 126
      ? Buffer.of(0x80 | opcode, 0x80 | length)
      : length < 65_536
        ? Buffer.of(0x80 | opcode, 0x80 | 126, length >> 8, length & 255)
        : Buffer.of(0x80 | opcode, 0x80 | 127, 0, 0, 0, 0, ...bigEndian(length));
  return Buffer.concat([head, NO_MASK, payload]);
}

function bigEndian(value: number): number[] {
  return [24, 16, 8, 0].map((bits) => (value >>> bits) & 255);
}

export function binaryFrame(payload: Uint8Array): Buffer {
  return clientFrame(BINARY, payload);
}

/**
 * A WebSocket's client side on a bare socket: what it sends was put together before the clock ran, and what comes is
 * looked at and not decoded, so that the load does not cost what is measured.
 */
export class RawLink {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);
  #isUpgraded = false;
  /** Of each binary frame that comes. */
  onFrame: (payload: Buffer) => void = () => undefined;
  /** Sizes of the last ping and of its answer, with their heads. */
  heartbeat = { pingBytes: 0, pongBytes: 0 };

  private constructor(socket: Socket) {
    this.#socket = socket;
  }

  static async open(
    port: number,
    path: string,
    onFrame: (link: RawLink, payload: Buffer) => void,
  ): Promise<RawLink> {
    const socket = connect(port, '127.0.0.1').setNoDelay(true);
    await once(socket, 'connect');
    const link = new RawLink(socket);
    link.onFrame = (payload) => onFrame(link, payload);
    const key = Buffer.alloc(16, 7).toString('base64');
    socket.write(
      `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    await new Promise<void>((upgraded, failed) => {
      socket.on('data', (bytes: Buffer) => {
        if (link.#isUpgraded) link.#take(bytes);
        else if (link.#upgrade(bytes)) upgraded();
      });
      socket.on('close', () => failed(new Error(`no WebSocket: ${link.#rest}`)));
    });
    return link;
  }

  /** Frames of `clientFrame`, one behind the other. */
  write(frames: Buffer): void {
    this.#socket.write(frames);
  }

  close(): void {
    this.#socket.destroy();
  }

  #upgrade(bytes: Buffer): boolean {
    this.#rest = Buffer.concat([this.#rest, bytes]);
    const end = this.#rest.indexOf('\r\n\r\n');
    if (end === -1 || !this.#rest.subarray(0, end).toString().startsWith('HTTP/1.1 101')) {
      return false;
    }
    this.#isUpgraded = true;
    const first = this.#rest.subarray(end + 4);
    this.#rest = Buffer.alloc(0);
    this.#take(first);
    return true;
  }

  #take(bytes: Buffer): void {
    const all = this.#rest.length === 0 ? bytes : Buffer.concat([this.#rest, bytes]);
    let at = 0;
    for (;;) {
      const frame = frameAt(all, at);
      if (frame === null) break;
      at = frame.end;
      if (frame.opcode === BINARY) this.onFrame(frame.payload);
      else if (frame.opcode === PING) this.#answer(frame.end - frame.start, frame.payload);
    }
    this.#rest = all.subarray(at);
  }

  #answer(pingBytes: number, payload: Buffer): void {
    const pong = clientFrame(PONG, payload);
    this.heartbeat = { pingBytes, pongBytes: pong.length };
    this.#socket.write(pong);
  }
}

/** The server's frame that begins at `start`, or null: it has not come as a whole. */
function frameAt(bytes: Buffer, start: number) {
  if (bytes.length < start + 2) return null;
  const short = bytes[start + 1] & 127;
  const head = short < 126 ? 2 : short === 126 ? 4 : 10;
  if (bytes.length < start + head) return null;
  const length =
    short < 126
      ? short
      : short === 126
        ? bytes.readUInt16BE(start + 2)
        : bytes.readUInt32BE(start + 6);
  const end = start + head + length;
  if (bytes.length < end) return null;
  return { start, end, opcode: bytes[start] & 15, payload: bytes.subarray(start + head, end) };
}
