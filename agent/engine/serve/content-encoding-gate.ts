import { type Encoding, unpack } from './content-encoding.ts';
import { OipError } from './oip-error.ts';

/** Bodies unpacked at once: zlib's threads are the file system's and the resolver's too. */
const MAX_RUNNING = 2;
/** Bodies that wait for their turn. A turn takes a fraction of a second at worst, so a longer line helps nobody. */
const MAX_WAITING = 256;
/** Bytes as they came that wait or are being unpacked, in largest bodies. */
const MAX_PACKED_BODIES = 4;
/** Unpacked bytes that have not been released, in largest bodies. */
const MAX_UNPACKED_BODIES = 4;
/** What one byte of deflate can become at most, plus the least that a block gives (zlib's own figure). */
const MAX_RATIO = 1032;

/** A body that takes room until it is released. */
export interface Unpacked {
  readonly bytes: Buffer;
  /** To be called once nothing looks at the bytes any more; more often does no harm. */
  release(): void;
}

interface Waiting {
  readonly packed: Buffer;
  readonly encoding: Encoding;
  readonly maxBytes: number;
  gone(): boolean;
  resolve(unpacked: Unpacked): void;
  reject(error: unknown): void;
}

/**
 * The way of every packed body, whatever carried it: 64 KiB may unpack to 64 MiB, so that what a client sends says
 * nothing of what it costs. A few are unpacked at a time, in the order in which they came. The largest that a body can
 * become is reserved before it is unpacked, and what it did become is held until its owner releases it: when the
 * request is answered, since tensors are views of the bytes.
 */
export class UnpackGate {
  readonly #waiting: Waiting[] = [];
  #running = 0;
  #packedBytes = 0;
  #unpackedBytes = 0;

  /** Bytes that are unpacked or reserved. */
  get heldBytes(): number {
    return this.#unpackedBytes;
  }

  /**
   * Unpacks into at most `maxBytes`, unless the client is `gone` before its turn. Rejects with 'overloaded' where
   * there is no room, and with what `unpack` throws.
   */
  unpack(
    packed: Buffer,
    encoding: Encoding,
    maxBytes: number,
    gone: () => boolean,
  ): Promise<Unpacked> {
    const full = this.#packedBytes + packed.length > MAX_PACKED_BODIES * maxBytes;
    if (full || this.#waiting.length >= MAX_WAITING) return Promise.reject(overloaded());
    this.#packedBytes += packed.length;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ packed, encoding, maxBytes, gone, resolve, reject });
      this.#next();
    });
  }

  #next(): void {
    while (this.#running < MAX_RUNNING) {
      const first = this.#waiting.shift();
      if (first === undefined) return;
      void this.#run(first);
    }
  }

  async #run(job: Waiting): Promise<void> {
    this.#running += 1;
    try {
      job.resolve(await this.#unpacked(job));
    } catch (error) {
      job.reject(error);
    }
    this.#running -= 1;
    this.#packedBytes -= job.packed.length;
    this.#next();
  }

  async #unpacked({ packed, encoding, maxBytes, gone }: Waiting): Promise<Unpacked> {
    if (gone()) throw new OipError('bad_request', 'the client hung up');
    let charged = Math.min(maxBytes, packed.length * MAX_RATIO);
    if (this.#unpackedBytes + charged > MAX_UNPACKED_BODIES * maxBytes) throw overloaded();
    this.#unpackedBytes += charged;
    const recharge = (bytes: number) => {
      this.#unpackedBytes += bytes - charged;
      charged = bytes;
    };
    try {
      const bytes = await unpack(packed, encoding, maxBytes);
      recharge(bytes.length);
      return { bytes, release: () => recharge(0) };
    } catch (error) {
      recharge(0);
      throw error;
    }
  }
}

/** One for the process: its memory is shared by every transport and every connection. */
export const unpackGate = new UnpackGate();

function overloaded(): OipError {
  return new OipError(
    'overloaded',
    'too many packed bodies are being unpacked; send this one again later, or as it is',
    { retryAfterSeconds: 1 },
  );
}
