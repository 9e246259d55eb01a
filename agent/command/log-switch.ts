import type { Logger } from 'pino';
import type { LogLevel } from '../../protocol/command.ts';

/** Sets how much is logged for a while; then it is as the agent was started. */
export class LogSwitch {
  readonly #log: Pick<Logger, 'level' | 'info'>;
  readonly #started: string;
  #timer: NodeJS.Timeout | null = null;

  constructor(log: Pick<Logger, 'level' | 'info'>) {
    this.#log = log;
    this.#started = log.level;
  }

  /** Takes the place of what was set before. Answers with when it ends, in Unix milliseconds. */
  set(level: LogLevel, forMs: number): number {
    this.stop();
    const until = Date.now() + forMs;
    this.#log.level = level;
    this.#timer = setTimeout(() => {
      this.#log.level = this.#started;
    }, forMs).unref();
    this.#log.info({ level, until }, 'log level set');
    return until;
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#log.level = this.#started;
  }
}
