import { createWriteStream, type WriteStream } from 'node:fs';
import { type LogLine, sayLine, WARN_LEVEL } from './children.ts';
import type { Terminal } from './terminal.ts';

/** A process's log: all of it in a file, and on the terminal what a person should see. */
export class LogFile {
  readonly #name: string;
  readonly #file: WriteStream;
  readonly #terminal: Terminal;

  constructor(name: string, path: string, terminal: Terminal) {
    this.#name = name;
    this.#file = createWriteStream(path, { flags: 'a', mode: 0o600 });
    // A full disk shall not take down what serves.
    this.#file.on('error', (error) => terminal.warn(`cannot write ${path}: ${error.message}`));
    this.#terminal = terminal;
  }

  take(line: LogLine): void {
    this.#file.write(`${line.text}\n`);
    if (line.level >= WARN_LEVEL) {
      this.#terminal.warn(`${this.#terminal.paint('yellow', this.#name)} ${sayLine(line)}`);
    }
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.#file.end(resolve));
  }
}
