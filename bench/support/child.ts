import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';

/** Which core each side of a benchmark runs on; null where cores can't be chosen. */
export interface Cores {
  readonly server: number | null;
  readonly load: number | null;
}

/** Server and load on a core each, so that the load's own work is not charged to the server. */
export function chooseCores(): Cores {
  const pinnable = [0, 1].every(
    (core) => spawnSync('taskset', ['-c', `${core}`, 'true']).status === 0,
  );
  return availableParallelism() > 1 && pinnable
    ? { server: 0, load: 1 }
    : { server: null, load: null };
}

/** A child process that answers one command at a time over IPC. */
export class BenchChild<Command extends object, Answer> {
  readonly #process: ChildProcess;
  readonly #name: string;

  private constructor(child: ChildProcess, name: string) {
    this.#process = child;
    this.#name = name;
  }

  /** Starts a script of `dist/bench/support` and resolves with it and its first message. */
  static async start<Command extends object, Answer>(
    script: string,
    core: number | null,
    args: readonly string[] = [],
  ): Promise<{ child: BenchChild<Command, Answer>; first: Answer }> {
    // The parent's own flags, as `fork` does: `node --cpu-prof` then profiles the servers too.
    const file = `${import.meta.dirname}/${script}`;
    const node = [process.execPath, ...process.execArgv, file, ...args];
    const [program, ...rest] = core === null ? node : ['taskset', '-c', `${core}`, ...node];
    const env = { ...process.env, ORT_DISABLE_TELEMETRY: '1' };
    const spawned = spawn(program, rest, { env, stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const child = new BenchChild<Command, Answer>(spawned, script);
    return { child, first: await child.#answer() };
  }

  ask(command: Command): Promise<Answer> {
    const answer = this.#answer();
    this.#process.send(command);
    return answer;
  }

  #answer(): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const died = () => reject(new Error(`${this.#name} ended before it answered`));
      this.#process.once('exit', died);
      this.#process.once('message', (message) => {
        this.#process.off('exit', died);
        resolve(message as Answer);
      });
    });
  }

  /** Lets the child end by itself: its channel closes, and every script here leaves on that. */
  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const ended = new Promise((resolve) => this.#process.once('exit', resolve));
    if (this.#process.connected) this.#process.disconnect();
    await ended;
  }
}

/** The child's side: says `first`, then answers every command, and leaves with its parent. */
export function answerCommands<Command, Answer>(
  first: Answer,
  handle: (command: Command) => Promise<Answer>,
): void {
  process.on('message', (command: Command) => {
    void handle(command).then((answer) => process.send?.(answer));
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.(first);
}
