import type { Digest } from '../../protocol/ids.ts';
import { type DownloadProgress, MAX_REPORTED_DOWNLOADS } from '../../protocol/progress.ts';

/** How often somebody is told: a person who watches needs no more, and a fleet sends it all to one place. */
export const TELL_EVERY_MS = 1000;

/** What is being downloaded, told when it begins and ends, and at most once a second. */
export class ProgressBoard {
  readonly #tell: (downloads: DownloadProgress[]) => void;
  readonly #downloads = new Map<Digest, DownloadProgress>();
  /** Runs for a second after something was told. */
  #pause: NodeJS.Timeout | null = null;
  #hasNews = false;

  constructor(tell: (downloads: DownloadProgress[]) => void) {
    this.#tell = tell;
  }

  set(download: DownloadProgress): void {
    this.#downloads.set(download.digest, download);
    this.#news();
  }

  /** It has come, or was given up. */
  end(digest: Digest): void {
    if (this.#downloads.delete(digest)) this.#news();
  }

  #news(): void {
    this.#hasNews = true;
    if (this.#pause === null) this.#say();
  }

  #say(): void {
    this.#pause = null;
    if (!this.#hasNews) return;
    this.#hasNews = false;
    this.#pause = setTimeout(() => this.#say(), TELL_EVERY_MS).unref();
    this.#tell([...this.#downloads.values()].slice(0, MAX_REPORTED_DOWNLOADS));
  }
}
