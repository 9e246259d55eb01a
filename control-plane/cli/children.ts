import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { CliError } from './error.ts';

/** A line of a child's log: pino's JSON, or plain words from before its logger or from a crash. */
export interface LogLine {
  readonly text: string;
  readonly level: number;
  readonly msg: string;
  readonly fields: Readonly<Record<string, unknown>>;
}

export const WARN_LEVEL = 40;
const ERROR_LEVEL = 50;
/** A crash says why in its last lines. */
const KEPT_LINES = 20;

export function parseLogLine(text: string, plainLevel: number): LogLine {
  if (text.startsWith('{')) {
    try {
      const fields = JSON.parse(text) as Record<string, unknown>;
      if (typeof fields.level === 'number') {
        return { text, level: fields.level, msg: String(fields.msg ?? ''), fields };
      }
    } catch {
      // A line that only looks like JSON is shown as it is.
    }
  }
  return { text, level: plainLevel, msg: text, fields: {} };
}

/** A line as a person wants it: the message, and why. */
export function sayLine({ msg, fields }: LogLine): string {
  const { reason, detail, err } = fields;
  const message = (err as { message?: unknown } | undefined)?.message;
  const why = [reason, detail, message].filter((part) => typeof part === 'string');
  return [msg, ...why].join(': ');
}

export interface ChildOptions {
  readonly name: string;
  readonly program: string;
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly onLine: (line: LogLine) => void;
}

/**
 * One process of ours and its log. It leads its own process group: Ctrl-C in the terminal reaches
 * us alone, and we decide who stops first.
 */
export class Child {
  readonly name: string;
  /** Resolves when the process has ended and all its lines were read. */
  readonly ended: Promise<{ code: number | null; signal: string | null }>;
  readonly #process: ChildProcess;
  readonly #waiting = new Set<(line: LogLine) => void>();
  readonly #lines: LogLine[] = [];

  constructor({ name, program, argv, env, onLine }: ChildOptions) {
    this.name = name;
    this.#process = spawn(process.execPath, [program, ...argv], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      env: { ...process.env, ...env },
    });
    const take = (plainLevel: number) => (text: string) => {
      const line = parseLogLine(text, plainLevel);
      this.#lines.push(line);
      if (this.#lines.length > KEPT_LINES) this.#lines.shift();
      onLine(line);
      for (const wake of [...this.#waiting]) wake(line);
    };
    const { stdout, stderr } = this.#process;
    if (stdout !== null) createInterface({ input: stdout }).on('line', take(30));
    if (stderr !== null) createInterface({ input: stderr }).on('line', take(ERROR_LEVEL));
    this.ended = once(this.#process, 'close').then(([code, signal]) => ({ code, signal }));
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  /** The next line with this message. Throws `CliError` with the last words if the process ends first. */
  line(msg: string, withinMs: number): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        clearTimeout(timer);
        this.#waiting.delete(look);
      };
      const look = (line: LogLine) => {
        if (line.msg !== msg) return;
        finish();
        resolve(line);
      };
      const timer = setTimeout(() => {
        finish();
        reject(new CliError('failed', `${this.name} did not say "${msg}" in ${withinMs} ms`));
      }, withinMs);
      this.#waiting.add(look);
      const seen = this.#lines.findLast((line) => line.msg === msg);
      if (seen !== undefined) look(seen);
      this.ended.then(({ code, signal }) => {
        finish();
        reject(
          new CliError('failed', `${this.name} ended (${signal ?? code}): ${this.lastWords()}`),
        );
      }, reject);
    });
  }

  lastWords(): string {
    const bad = this.#lines.filter((line) => line.level >= WARN_LEVEL);
    return (bad.length > 0 ? bad : this.#lines).map(sayLine).slice(-3).join(' | ');
  }

  /** SIGTERM, and SIGKILL for one that does not listen. Resolves when it has ended. */
  async stop(withinMs: number): Promise<void> {
    this.#process.kill('SIGTERM');
    const impatience = setTimeout(() => this.#process.kill('SIGKILL'), withinMs);
    await this.ended;
    clearTimeout(impatience);
  }
}
