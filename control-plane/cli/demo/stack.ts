import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentView } from '../../http/agents.ts';
import { poll } from '../await-state.ts';
import { Child } from '../children.ts';
import { Client } from '../client.ts';
import { CliError } from '../error.ts';
import { LogFile } from '../log-file.ts';
import { AGENT_PROGRAM, CONTROL_PROGRAM } from '../programs.ts';
import type { Terminal } from '../terminal.ts';

export interface DemoAgent {
  readonly id: string;
  readonly name: string;
  readonly url: string;
}

const AGENTS = 3;
/** Several agents share this machine. */
const ANY_PORTS = ['--port', '0', '--grpc-port', '0', '--metrics-port', '0'];
const START_MS = 30_000;
const STOP_MS = 10_000;

/** A control plane and three agents, each a process of its own, on free ports and in a new folder. */
export class DemoStack {
  client: Client | null = null;
  #control: Child | null = null;
  readonly #agents: Child[] = [];
  readonly #logs: LogFile[] = [];
  readonly #folder: string;
  readonly #terminal: Terminal;
  #stopped = false;

  constructor(folder: string, terminal: Terminal) {
    this.#folder = folder;
    this.#terminal = terminal;
  }

  async start(): Promise<{ client: Client; agents: DemoAgent[] }> {
    await mkdir(join(this.#folder, 'logs'), { recursive: true, mode: 0o700 });
    const argv = ['--data', join(this.#folder, 'control'), '--port', '0', '--print-token'];
    const control = this.#spawn('control', CONTROL_PROGRAM, argv);
    this.#control = control;
    const [listening, admin] = await Promise.all([
      control.line('listening', START_MS),
      control.line('admin-token', START_MS),
    ]);
    const url = String(listening.fields.url);
    const client = new Client({ url, token: String(admin.fields.token) });
    this.client = client;
    const names = Array.from({ length: AGENTS }, (_, at) => `agent-${at + 1}`);
    const urls = await Promise.all(names.map((name) => this.#startAgent(client, name)));
    const read = () => client.list<AgentView>('/api/v1/agents');
    const all = (items: AgentView[]) => items.filter((each) => each.connected).length === AGENTS;
    const joined = await poll(read, all, START_MS, 50);
    if (joined === null) throw new CliError('failed', `not all agents joined in ${START_MS} ms`);
    const agents = names.flatMap((name, at) => {
      const id = joined.find((agent) => agent.name === name)?.id;
      return id === undefined ? [] : [{ id, name, url: urls[at] ?? '' }];
    });
    return { client, agents };
  }

  /** Stops the agents; returns how many windows they made, as each says in its last line. */
  async stopAgents(): Promise<{ produced: number; pending: number; dropped: number }> {
    const sum = { produced: 0, pending: 0, dropped: 0 };
    for (const agent of this.#agents.splice(0)) {
      const last = agent.line('stopped', STOP_MS);
      await Promise.all([agent.stop(STOP_MS), last]);
      const { fields } = await last;
      for (const key of ['produced', 'pending', 'dropped'] as const)
        sum[key] += Number(fields[key]);
    }
    return sum;
  }

  /** Stops what is still running. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await Promise.all(this.#agents.splice(0).map((agent) => agent.stop(STOP_MS)));
    this.client?.close();
    await this.#control?.stop(STOP_MS);
    await Promise.all(this.#logs.map((log) => log.close()));
  }

  async #startAgent(client: Client, name: string): Promise<string> {
    const { token } = await client.post<{ token: string }>('/api/v1/join-tokens', {});
    const argv = ['--control', client.url, '--data', join(this.#folder, name), '--name', name];
    const agent = this.#spawn(name, AGENT_PROGRAM, [...argv, ...ANY_PORTS, '--engines', '1'], {
      DRIFTLINE_JOIN: token,
    });
    this.#agents.push(agent);
    return String((await agent.line('serving', START_MS)).fields.url);
  }

  #spawn(name: string, program: string, argv: string[], env: Record<string, string> = {}): Child {
    if (this.#stopped) throw new CliError('failed', 'stopped while it was starting');
    const log = new LogFile(name, join(this.#folder, 'logs', `${name}.log`), this.#terminal);
    this.#logs.push(log);
    return new Child({ name, program, argv, env, onLine: (line) => log.take(line) });
  }
}
