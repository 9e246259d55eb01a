import { MAX_LOG_LINE, MAX_LOG_LINES } from '../protocol/diagnostics.ts';

/** The newest lines of this process's log, for whoever asks when it is too late to turn the level up. */
export class LogTail {
  #lines: string[] = [];

  /** One line, as a logger writes it; what is longer than `MAX_LOG_LINE` is cut. */
  write(line: string): void {
    this.#lines.push(line.trimEnd().slice(0, MAX_LOG_LINE));
    // Cut in one go and not line by line: shifting an array is not free.
    if (this.#lines.length >= 2 * MAX_LOG_LINES) this.#lines = this.lines;
  }

  /** Oldest first. */
  get lines(): string[] {
    return this.#lines.slice(-MAX_LOG_LINES);
  }
}
