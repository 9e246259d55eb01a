import { MAX_PROMISE_MS } from '../../protocol/limits.ts';
import type { AdmissionRate } from './admission-bucket.ts';

/** Of the burst that all share: links of one address that have said no good hello. Two such addresses can use it up, one can't. */
const SHARE_OF_BURST = 0.5;
/** Of the common rate: how fast what an address has used is forgotten. What it can take for ever without a hello. */
const SHARE_OF_RATE = 0.1;
/** Addresses that are remembered; the one that came longest ago goes. At some 200 bytes each. */
export const MAX_ADDRESSES = 10_000;
/** A handshake that is under way has ended by then, as a rule, and has given its place back. */
const RETRY_MS = 250;

interface Used {
  /** Links let in and not proven, less what is forgotten, at `atMs`. */
  links: number;
  atMs: number;
  /** Until when places are promised. */
  promisedUntilMs: number;
}

/**
 * Before the bucket that all share: links of one address that were let in count against it until they have said a good
 * hello. So thousands of hosts may be behind one address, as many under way at once as half of the burst, and one that opens
 * links and says nothing takes that half and a tenth of the rate, and no more. Pure.
 */
export class AddressAdmissions {
  readonly #most: number;
  readonly #forgottenPerMs: number;
  readonly #promiseMs: number;
  readonly #used = new Map<string, Used>();

  constructor({ perSecond, burst }: AdmissionRate) {
    this.#most = Math.max(1, SHARE_OF_BURST * burst);
    this.#forgottenPerMs = (SHARE_OF_RATE * perSecond) / 1000;
    this.#promiseMs = 1000 / perSecond;
  }

  get size(): number {
    return this.#used.size;
  }

  /** 0: it may ask for a place. Else in how many ms to come back, each later than the one before. */
  take(address: string, nowMs: number): number {
    const used = this.#at(address, nowMs);
    // Anew at the end of the map: who came longest ago is first.
    this.#used.delete(address);
    this.#used.set(address, used);
    if (this.#used.size > MAX_ADDRESSES) {
      for (const oldest of this.#used.keys()) {
        this.#used.delete(oldest);
        break;
      }
    }
    if (used.links + 1 <= this.#most) {
      used.links += 1;
      return 0;
    }
    const earliestMs = Math.max(used.promisedUntilMs, nowMs + RETRY_MS);
    const promisedMs = Math.min(earliestMs, nowMs + MAX_PROMISE_MS);
    used.promisedUntilMs = promisedMs + this.#promiseMs;
    return promisedMs - nowMs;
  }

  /** A link of it has said a good hello, or got no place in the bucket that all share. */
  giveBack(address: string): void {
    const used = this.#used.get(address);
    if (used !== undefined) used.links = Math.max(0, used.links - 1);
  }

  #at(address: string, nowMs: number): Used {
    const used = this.#used.get(address) ?? { links: 0, atMs: nowMs, promisedUntilMs: 0 };
    used.links = Math.max(0, used.links - (nowMs - used.atMs) * this.#forgottenPerMs);
    used.atMs = nowMs;
    return used;
  }
}
