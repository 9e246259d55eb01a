import { Packr } from 'msgpackr';
import type { DesiredState } from '../../protocol/desired.ts';

const packr = new Packr({ useRecords: false });

/** Checks that are done at the same time: each writes a file. */
const AT_ONCE = 64;
/** A link that was cut meanwhile checks nothing any more. */
const CHECKED_WITHIN_MS = 10_000;

/**
 * What agents do with a document besides saying that they have it, put off while that is timed. Each host of a real fleet
 * parses, verifies and keeps its document on a core of its own, in about a millisecond; here thousands share one core, and
 * the last would be timed with the work of all others before it. Nothing is left out: afterwards each frame goes the way of
 * every other, and one that fails there fails the run.
 */
export class LateChecks {
  #putOff: (() => Promise<void>)[] | null = null;

  get isHolding(): boolean {
    return this.#putOff !== null;
  }

  /** From now on checks wait for `release`. */
  hold(): void {
    this.#putOff ??= [];
  }

  /** @param check resolves when the document was taken or refused */
  putOff(check: () => Promise<void>): void {
    this.#putOff?.push(check);
  }

  /** Does what was put off. How many that were. */
  async release(): Promise<number> {
    const checks = this.#putOff ?? [];
    this.#putOff = null;
    for (let at = 0; at < checks.length; at += AT_ONCE) {
      await Promise.all(checks.slice(at, at + AT_ONCE).map((check) => within(check())));
    }
    return checks.length;
  }
}

/** What a frame says that an agent shall run, with nothing of it looked at; null: it is no document. */
export function readUnverified(frame: Uint8Array): DesiredState | null {
  const message = packr.unpack(frame) as { kind?: unknown; envelope?: { payload: Uint8Array } };
  if (message.kind !== 'desired' || message.envelope === undefined) return null;
  return JSON.parse(new TextDecoder().decode(message.envelope.payload)) as DesiredState;
}

async function within(check: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, CHECKED_WITHIN_MS);
  });
  await Promise.race([check, late]);
  clearTimeout(timer);
}
