import { Child, type LogLine } from './children.ts';
import { AGENT_PROGRAM } from './programs.ts';
import type { Terminal } from './terminal.ts';

export interface LocalAgentOptions {
  readonly argv: readonly string[];
  /** Needed by an agent that has not joined yet; single-use, so not given again to a restart. */
  readonly joinToken: string | null;
  readonly onLine: (line: LogLine) => void;
  readonly terminal: Terminal;
}

const START_MS = 30_000;
/** It drains requests and writes its last windows to disk. */
const STOP_MS = 15_000;
const MIN_DELAY_MS = 500;
const MAX_DELAY_MS = 30_000;

/** The agent process of `driftline up`: started again when it dies, ever slower while it keeps dying. */
export class LocalAgent {
  readonly #options: LocalAgentOptions;
  #child: Child;
  #restart: NodeJS.Timeout | null = null;
  #delayMs = MIN_DELAY_MS;
  #stopping = false;

  constructor(options: LocalAgentOptions) {
    this.#options = options;
    this.#child = this.#spawn(options.joinToken);
  }

  /** Where it serves. Throws `CliError` with its last words when the first start fails. */
  async serving(): Promise<string> {
    const line = await this.#child.line('serving', START_MS);
    const child = this.#child;
    void child.ended.then(() => this.#onEnd(child));
    return String(line.fields.url);
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    if (this.#restart !== null) clearTimeout(this.#restart);
    await this.#child.stop(STOP_MS);
  }

  #spawn(joinToken: string | null): Child {
    const { argv, onLine } = this.#options;
    const env: Record<string, string> = joinToken === null ? {} : { DRIFTLINE_JOIN: joinToken };
    return new Child({ name: 'agent', program: AGENT_PROGRAM, argv, env, onLine });
  }

  async #onEnd(child: Child): Promise<void> {
    if (this.#stopping) return;
    const { code, signal } = await child.ended;
    const { terminal } = this.#options;
    terminal.warn(
      `${terminal.paint('yellow', 'agent')} ended (${signal ?? code}); again in ${this.#delayMs} ms`,
    );
    this.#restart = setTimeout(() => void this.#again(), this.#delayMs);
    this.#delayMs = Math.min(this.#delayMs * 2, MAX_DELAY_MS);
  }

  async #again(): Promise<void> {
    const child = this.#spawn(null);
    this.#child = child;
    void child.ended.then(() => this.#onEnd(child));
    try {
      await child.line('serving', START_MS);
      this.#delayMs = MIN_DELAY_MS;
    } catch (error) {
      const { terminal } = this.#options;
      terminal.warn(`${terminal.paint('red', 'agent')} ${(error as Error).message}`);
    }
  }
}
