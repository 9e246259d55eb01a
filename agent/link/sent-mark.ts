import { type Disk, replaceFile } from '../store/disk.ts';

/** Windows that may go on the wire before the mark is written again: an fsync for each of so many. */
const RESERVE_AHEAD = 64;
const NAME = 'sent.json';

/**
 * Up to which sequence of each boot windows may have been on the wire: on disk before they are. What may have been sent
 * may have been counted, though no acknowledgement came back, and must stay what it was.
 */
export class SentMark {
  readonly #disk: Disk;
  readonly #folder: string;
  #upTo: Map<string, number>;
  #writing: Promise<void> = Promise.resolve();

  private constructor(disk: Disk, folder: string, upTo: Map<string, number>) {
    this.#disk = disk;
    this.#folder = folder;
    this.#upTo = upTo;
  }

  /** @param boots what the outbox holds: without a readable mark all of it counts as sent */
  static async open(
    disk: Disk,
    folder: string,
    boots: ReadonlyMap<string, number>,
  ): Promise<SentMark> {
    const bytes = await disk.read(`${folder}/${NAME}`);
    const stored = bytes === null ? null : parse(bytes);
    const upTo = new Map<string, number>();
    for (const [boot, last] of boots) {
      const sent = stored === null ? last : (stored.get(boot) ?? 0);
      if (sent > 0) upTo.set(boot, sent);
    }
    const mark = new SentMark(disk, folder, upTo);
    // Written although nothing was sent: a mark that is missing later is one that was lost.
    if (stored === null) await mark.#save(upTo);
    return mark;
  }

  /** Whether this window may have been sent, or may be sent now. */
  covers({ boot, sequence }: { readonly boot: string; readonly sequence: number }): boolean {
    return sequence <= (this.#upTo.get(boot) ?? 0);
  }

  /** Resolves when this window, and those that follow it, may be sent. */
  reserve({ boot, sequence }: { readonly boot: string; readonly sequence: number }): Promise<void> {
    const written = this.#writing.then(async () => {
      if (sequence <= (this.#upTo.get(boot) ?? 0)) return;
      const next = new Map(this.#upTo).set(boot, sequence + RESERVE_AHEAD);
      await this.#save(next);
      this.#upTo = next;
    });
    this.#writing = written.catch(() => undefined);
    return written;
  }

  /** Forgets boots of which nothing is left; at the next write. */
  keepOnly(boots: ReadonlySet<string>): void {
    for (const boot of this.#upTo.keys()) if (!boots.has(boot)) this.#upTo.delete(boot);
  }

  async #save(upTo: ReadonlyMap<string, number>): Promise<void> {
    const text = JSON.stringify(Object.fromEntries(upTo));
    await replaceFile(this.#disk, this.#folder, NAME, new TextEncoder().encode(text));
  }

  async close(): Promise<void> {
    await this.#writing;
  }
}

/** Null for what this agent did not write. */
function parse(bytes: Uint8Array): Map<string, number> | null {
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (typeof value !== 'object' || value === null) return null;
    const entries = Object.entries(value);
    return entries.every(([, upTo]) => Number.isSafeInteger(upTo)) ? new Map(entries) : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}
