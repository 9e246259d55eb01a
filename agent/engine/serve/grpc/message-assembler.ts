import { OipError } from '../oip-error.ts';
import { PREFIX_BYTES } from './message-frame.ts';

/** The widest element: where a tensor begins at a multiple of it, a typed array can lie over the message itself. */
const ALIGNMENT = 8;

/** Messages up to this may be put together without being charged to their connection. */
const FREE_BYTES = 64 * 1024;

/** What one connection may announce in messages that have not arrived yet; memory is reserved when they begin. */
export class BodyBudget {
  #leftBytes: number;

  constructor(sizeBytes: number) {
    this.#leftBytes = sizeBytes;
  }

  /** Throws 'body_too_large', which a client may repeat when less is on its way. */
  claim(sizeBytes: number): void {
    if (sizeBytes > this.#leftBytes) {
      throw new OipError(
        'body_too_large',
        `a message of ${sizeBytes} bytes beside those still arriving exceeds what one connection may send at once`,
      );
    }
    this.#leftBytes -= sizeBytes;
  }

  release(sizeBytes: number): void {
    this.#leftBytes += sizeBytes;
  }
}

/**
 * Cuts the bytes of a call into its messages. One that lies within a chunk is handed on as a view of it; one that
 * does not is put together so that its end is aligned: raw tensors come last in a request, and encoders write
 * fields in order, so the last tensor then lies aligned too, whatever stands before it.
 */
export class MessageAssembler {
  readonly #maxBytes: number;
  readonly #budget: BodyBudget;
  readonly #onMessage: (message: Buffer, compressed: boolean) => void;
  readonly #prefix = Buffer.allocUnsafe(PREFIX_BYTES);
  #prefixBytes = 0;
  #body: Buffer | null = null;
  #filled = 0;
  #claimed = 0;

  constructor(
    maxBytes: number,
    budget: BodyBudget,
    onMessage: (message: Buffer, compressed: boolean) => void,
  ) {
    this.#maxBytes = maxBytes;
    this.#budget = budget;
    this.#onMessage = onMessage;
  }

  /** Is there a message of which only a part has come? */
  get partial(): boolean {
    return this.#prefixBytes > 0;
  }

  /** Throws 'body_too_large' or 'bad_request'; nothing may be pushed after that. */
  push(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#body !== null) at = this.#fill(chunk, at);
      else if (this.#prefixBytes === 0 && chunk.length - at >= PREFIX_BYTES) {
        at = this.#begin(chunk, at, chunk, at + PREFIX_BYTES);
      } else {
        const taken = Math.min(PREFIX_BYTES - this.#prefixBytes, chunk.length - at);
        chunk.copy(this.#prefix, this.#prefixBytes, at, at + taken);
        this.#prefixBytes += taken;
        at += taken;
        if (this.#prefixBytes === PREFIX_BYTES) at = this.#begin(this.#prefix, 0, chunk, at);
      }
    }
  }

  /** Gives back what a message that will not arrive had reserved. */
  abandon(): void {
    this.#budget.release(this.#claimed);
    this.#claimed = 0;
    this.#body = null;
  }

  #begin(prefix: Buffer, prefixAt: number, chunk: Buffer, start: number): number {
    const flag = prefix[prefixAt];
    const length = prefix.readUInt32BE(prefixAt + 1);
    if (flag > 1) {
      throw new OipError(
        'bad_request',
        `a message begins with the byte ${flag}; it must be 0 or 1`,
      );
    }
    if (length > this.#maxBytes) {
      throw new OipError(
        'body_too_large',
        `a message of ${length} bytes exceeds the ${this.#maxBytes} allowed`,
      );
    }
    if (length <= chunk.length - start) {
      this.#prefixBytes = 0;
      this.#onMessage(chunk.subarray(start, start + length), flag === 1);
      return start + length;
    }
    this.#reserve(length);
    this.#prefix[0] = flag;
    this.#prefixBytes = PREFIX_BYTES;
    return this.#fill(chunk, start);
  }

  #reserve(length: number): void {
    if (length > FREE_BYTES) {
      this.#budget.claim(length);
      this.#claimed = length;
    }
    const lead = (ALIGNMENT - (length % ALIGNMENT)) % ALIGNMENT;
    // Pages that no byte has arrived for stay untouched: a lie about the length costs address space only.
    this.#body = Buffer.allocUnsafeSlow(lead + length).subarray(lead);
    this.#filled = 0;
  }

  #fill(chunk: Buffer, start: number): number {
    const body = this.#body;
    if (body === null) return start;
    const end = Math.min(chunk.length, start + body.length - this.#filled);
    chunk.copy(body, this.#filled, start, end);
    this.#filled += end - start;
    if (this.#filled === body.length) {
      const compressed = this.#prefix[0] === 1;
      this.abandon();
      this.#prefixBytes = 0;
      this.#onMessage(body, compressed);
    }
    return end;
  }
}
