import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { pino } from 'pino';
import { type ControlPlane, startControlPlane } from '../main.ts';
import { parseLogLine } from './children.ts';
import { Client } from './client.ts';
import { CliError } from './error.ts';
import { requireFreePort } from './free-port.ts';
import { LocalAgent } from './local-agent.ts';
import { LogFile } from './log-file.ts';
import { askedToStop } from './signals.ts';
import type { Terminal } from './terminal.ts';
import { setUpExample } from './up-example.ts';
import { sayUp } from './up-greeting.ts';
import { parseInteger } from './values.ts';

export interface UpOptions {
  readonly data: string;
  readonly port: string;
  readonly agentPort: string;
  readonly name: string;
}

const HOST = '127.0.0.1';
const INFO_LEVEL = 30;

interface Place {
  readonly data: string;
  readonly port: number;
  readonly agentPort: number;
}

/**
 * The embedded Driftline: control plane in this process, one agent beside it. Runs until it is told
 * to stop, agent first. The first start also brings the bundled example into service.
 */
export async function up(
  terminal: Terminal,
  options: UpOptions,
  envToken: string | null,
): Promise<number> {
  const place = {
    data: resolve(options.data),
    port: parseInteger('--port', options.port, 0, 65_535),
    agentPort: parseInteger('--agent-port', options.agentPort, 0, 65_533),
  };
  await requireFreePort('--port', HOST, place.port);
  await requireFreePort('--agent-port', HOST, place.agentPort);
  await mkdir(join(place.data, 'logs'), { recursive: true, mode: 0o700 });
  const stack = new Stack(place, terminal);
  const signal = askedToStop();
  const starting = stack.start(options.name, envToken);
  try {
    await Promise.race([starting, signal]);
    await signal;
    terminal.say('\nstopping');
  } finally {
    await stack.stop();
    // Told to stop while it was starting: what it waited for has gone away, and that is no failure.
    await starting.catch(() => undefined);
  }
  terminal.say('stopped; everything is kept for the next start');
  return 0;
}

class Stack {
  readonly #place: Place;
  readonly #terminal: Terminal;
  readonly #logs: { control: LogFile; agent: LogFile };
  #control: ControlPlane | null = null;
  #agent: LocalAgent | null = null;
  #stopping = false;

  constructor(place: Place, terminal: Terminal) {
    this.#place = place;
    this.#terminal = terminal;
    const log = (name: string) =>
      new LogFile(name, join(place.data, 'logs', `${name}.log`), terminal);
    this.#logs = { control: log('control'), agent: log('agent') };
  }

  async start(name: string, envToken: string | null): Promise<void> {
    const { data, port } = this.#place;
    const marker = join(data, 'example.json');
    const example = await readFile(marker, 'utf8').catch(() => null);
    const config = { dataDir: join(data, 'control'), host: HOST, port, hostNames: [] };
    const write = (text: string) =>
      this.#logs.control.take(parseLogLine(text.trimEnd(), INFO_LEVEL));
    const control = await startControlPlane(config, pino({}, { write }));
    if (this.#stopping) {
      await control.close();
      throw new CliError('failed', 'stopped while it was starting');
    }
    this.#control = control;
    if (example !== null) {
      const agentUrl = await this.#startAgent(control.url, null);
      const { deployment } = JSON.parse(example) as { deployment: string };
      await sayUp(this.#terminal, { url: control.url, agentUrl, deployment, data, token: null });
      return;
    }
    const token = control.adminToken ?? envToken;
    if (token === null) throw interrupted(data);
    const client = new Client({ url: control.url, token });
    try {
      const join = await client.post<{ token: string }>('/api/v1/join-tokens', {});
      const agentUrl = await this.#startAgent(control.url, join.token);
      await setUpExample(client, name);
      await writeFile(marker, JSON.stringify({ deployment: name }));
      const greeting = { url: control.url, agentUrl, deployment: name, data };
      await sayUp(this.#terminal, { ...greeting, token: control.adminToken });
    } catch (error) {
      // This start was the only one that knows the token.
      if (control.adminToken !== null) this.#terminal.warn(`admin token: ${control.adminToken}`);
      throw error;
    } finally {
      client.close();
    }
  }

  async #startAgent(controlUrl: string, joinToken: string | null): Promise<string> {
    const { data, agentPort } = this.#place;
    if (this.#stopping) throw new CliError('failed', 'stopped while it was starting');
    const folder = join(data, 'agent');
    const argv = ['--control', controlUrl, '--data', folder, '--name', 'local'];
    this.#agent = new LocalAgent({
      argv: [...argv, '--host', HOST, ...portArguments(agentPort)],
      joinToken,
      onLine: (line) => this.#logs.agent.take(line),
      terminal: this.#terminal,
    });
    return this.#agent.serving();
  }

  /** Agent first: its last windows still reach the control plane, or its disk. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await this.#agent?.stop();
    await this.#control?.close();
    await Promise.all([this.#logs.control.close(), this.#logs.agent.close()]);
  }
}

/** HTTP, gRPC and metrics side by side, so that a second `up` beside the first needs to name one port only. */
function portArguments(port: number): string[] {
  const beside = (distance: number) => String(port === 0 ? 0 : port + distance);
  return ['--port', String(port), '--grpc-port', beside(1), '--metrics-port', beside(2)];
}

function interrupted(data: string): CliError {
  return new CliError(
    'failed',
    `the first start in ${data} was interrupted before the example was in service\n` +
      'export DRIFTLINE_TOKEN (it was printed then) and start again, or remove that folder',
  );
}
