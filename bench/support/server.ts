import { BenchChild } from './child.ts';
import type { ServerAnswer, ServerCommand } from './server-protocol.ts';

/** A server under test: where it listens, and what its processes have spent. */
export interface Server {
  readonly name: string;
  readonly port: number;
  /** CPU time of all its processes since they started, in microseconds. */
  cpuUs(): Promise<number>;
  /** Where it would use the core while others are measured: stops it between its windows. */
  pause?(): void;
  resume?(): void;
  stop(): Promise<void>;
}

/** A server of `dist/bench/support`, told over IPC. */
export class NodeServer implements Server {
  readonly name: string;
  readonly port: number;
  readonly #child: BenchChild<ServerCommand, ServerAnswer>;

  private constructor(name: string, port: number, child: BenchChild<ServerCommand, ServerAnswer>) {
    this.name = name;
    this.port = port;
    this.#child = child;
  }

  /** `setup` reaches the script as JSON in its first argument. */
  static async start(
    name: string,
    script: string,
    core: number | null,
    setup: object,
  ): Promise<NodeServer> {
    const { child, first } = await BenchChild.start<ServerCommand, ServerAnswer>(script, core, [
      JSON.stringify(setup),
    ]);
    if (first.kind !== 'listening') throw new Error(`${script} said ${first.kind} first`);
    return new NodeServer(name, first.port, child);
  }

  async cpuUs(): Promise<number> {
    const answer = await this.#child.ask({ kind: 'usage' });
    if (answer.kind !== 'usage') throw new Error(`${this.name} answered ${answer.kind}`);
    return answer.cpuUs;
  }

  /** Ends serving; resolves with the rows in the windows it has cut, null for a server that counts none. */
  async finish(): Promise<number | null> {
    const answer = await this.#child.ask({ kind: 'finish' });
    return answer.kind === 'finished' ? answer.observedRows : null;
  }

  stop(): Promise<void> {
    return this.#child.stop();
  }
}
