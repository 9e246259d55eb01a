import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent as KeepAliveAgent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describeMortgage, inferBody } from './mortgage.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const START_TIMEOUT_MS = 20_000;

export interface InferAnswer {
  readonly status: number;
  readonly model_version: string;
  readonly parameters: { arm: string; generation: number; decision_id: string };
}

/** A started process of ours and the JSON lines that it has written. */
export class Program {
  readonly child: ChildProcess;
  readonly lines: Record<string, unknown>[] = [];
  text = '';
  #waiting: (() => void)[] = [];

  constructor(script: string, args: readonly string[]) {
    this.child = spawn(process.execPath, [join(ROOT, 'dist', script), ...args], {
      cwd: ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let rest = '';
    const take = (chunk: Buffer) => {
      this.text += chunk;
      const lines = (rest + chunk).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) if (line.startsWith('{')) this.lines.push(JSON.parse(line));
      for (const wake of this.#waiting.splice(0)) wake();
    };
    this.child.stdout?.on('data', take);
    this.child.stderr?.on('data', take);
    this.child.on('exit', () => {
      for (const wake of this.#waiting.splice(0)) wake();
    });
  }

  /** The first line, or the next one after `from` lines, whose `msg` is this. */
  async line(msg: string, from = 0): Promise<Record<string, unknown>> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const found = this.lines.slice(from).find((line) => line.msg === msg);
      if (found !== undefined) return found;
      if (this.child.exitCode !== null || Date.now() > deadline) {
        throw new Error(
          `no "${msg}" from the process (exit ${this.child.exitCode}):\n${this.text}`,
        );
      }
      await new Promise<void>((wake) => {
        this.#waiting.push(wake);
        setTimeout(wake, 500).unref();
      });
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((wake) => this.child.once('exit', wake));
    this.child.kill(signal);
    await ended;
  }
}

export interface AgentHandle {
  readonly name: string;
  readonly port: number;
  readonly url: string;
  /** By which way it reaches the control plane. */
  readonly controlUrl: string;
  program: Program;
}

/** A control plane and agents as real processes on loopback, in a folder of their own. */
export class Stack {
  readonly folder: string;
  readonly keepAlive = new KeepAliveAgent({ keepAlive: true, maxSockets: 32 });
  readonly agents: AgentHandle[] = [];
  control: Program;
  readonly #controlArgs: readonly string[];
  port: number;
  token: string;

  private constructor(
    folder: string,
    controlArgs: readonly string[],
    control: Program,
    port: number,
    token: string,
  ) {
    this.folder = folder;
    this.#controlArgs = controlArgs;
    this.control = control;
    this.port = port;
    this.token = token;
  }

  /** `controlArgs`: of the control plane, also when it starts again. */
  static async start(...controlArgs: string[]): Promise<Stack> {
    const folder = await mkdtemp(join(tmpdir(), 'driftline-stack-'));
    const control = new Program('control-plane/main.js', [
      '--data',
      join(folder, 'control'),
      '--port',
      '0',
      '--print-token',
      ...controlArgs,
    ]);
    const { token } = await control.line('admin-token');
    const { url } = await control.line('listening');
    const port = Number(new URL(String(url)).port);
    return new Stack(folder, controlArgs, control, port, String(token));
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Kills the control plane without a word to it, or ends it properly. */
  async endControl(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    await this.control.end(signal);
  }

  async restartControl(): Promise<void> {
    this.control = new Program('control-plane/main.js', [
      '--data',
      join(this.folder, 'control'),
      '--port',
      String(this.port),
      ...this.#controlArgs,
    ]);
    await this.control.line('listening');
  }

  /** `controlUrl`: by which way it reaches the control plane. */
  async addAgent(name: string, engines = 1, controlUrl = this.url): Promise<AgentHandle> {
    const { token } = await this.api<{ token: string }>('POST', '/join-tokens', {});
    const program = this.#agent(name, 0, engines, token, controlUrl);
    const { url } = await program.line('serving');
    const port = Number(new URL(String(url)).port);
    const handle = { name, url: String(url), port, controlUrl, program };
    await program.line('joined');
    this.agents.push(handle);
    return handle;
  }

  async restartAgent(agent: AgentHandle, engines = 1): Promise<void> {
    agent.program = this.#agent(agent.name, agent.port, engines, null, agent.controlUrl);
    await agent.program.line('serving');
  }

  #agent(
    name: string,
    port: number,
    engines: number,
    token: string | null,
    controlUrl: string,
  ): Program {
    const join_ = token === null ? [] : ['--join', token];
    const data = join(this.folder, name);
    return new Program('agent/program/main.js', [
      ...['--control', controlUrl, '--data', data, '--name', name, '--port', String(port)],
      ...['--grpc-port', '0', '--metrics-port', '0'],
      ...['--engines', String(engines), ...join_],
    ]);
  }

  async api<T>(method: string, path: string, json?: unknown): Promise<T> {
    const { status, body } = await this.#send(method, `${this.url}/api/v1${path}`, {
      body: json === undefined ? undefined : JSON.stringify(json),
      headers: { authorization: `Bearer ${this.token}`, 'content-type': 'application/json' },
    });
    if (status >= 300) throw new Error(`${method} ${path}: ${status} ${body}`);
    return JSON.parse(body) as T;
  }

  #send(
    method: string,
    url: string,
    options: { body?: string | Buffer; headers?: Record<string, string> },
  ): Promise<{ status: number; body: string }> {
    return new Promise((wake, reject) => {
      const req = request(
        url,
        { method, agent: this.keepAlive, headers: options.headers },
        (res) => {
          let body = '';
          res.on('data', (chunk) => {
            body += chunk;
          });
          res.on('end', () => wake({ status: res.statusCode ?? 0, body }));
        },
      );
      req.on('error', reject);
      req.end(options.body);
    });
  }

  async upload(bytes: Buffer): Promise<string> {
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    const { status, body } = await this.#send('PUT', `${this.url}/api/v1/artifacts/${digest}`, {
      body: bytes,
      headers: {
        authorization: `Bearer ${this.token}`,
        'content-type': 'application/octet-stream',
      },
    });
    if (status >= 300) throw new Error(`upload: ${status} ${body}`);
    return digest;
  }

  /** Describes and pushes a version of the example; returns its number and digest. */
  async push(which: 'v1' | 'v2' | 'v3'): Promise<{ version: number; manifest: string }> {
    const { files } = await describeMortgage(which, this.folder);
    const paths = [files.modelPath, files.profilePath, files.goldenPath, files.manifestPath];
    for (const path of paths) if (path !== null) await this.upload(await readFile(path));
    return this.api('POST', '/models/mortgage/versions', { manifest: files.manifest });
  }

  async deploy(version: number, windowMs = 500): Promise<void> {
    // A test has no twenty windows to learn from.
    const monitoring = { learningWindows: 0 };
    const request = { model: 'mortgage', version, windowMs, monitoring };
    await this.api('PUT', '/deployments/mortgage', request);
  }

  async infer(agent: AgentHandle, rows: readonly (readonly number[])[]): Promise<InferAnswer> {
    const { status, body } = await this.#send('POST', `${agent.url}/v2/models/mortgage/infer`, {
      body: inferBody(rows),
    });
    return { status, ...(JSON.parse(body) as Omit<InferAnswer, 'status'>) };
  }

  async totals(): Promise<{ windows: number; requests: number; rows: number }> {
    const { totals } = await this.api<{
      totals: { windows: number; requests: number; rows: number };
    }>('GET', '/deployments/mortgage/monitoring');
    return totals;
  }

  async stop(): Promise<void> {
    await Promise.all(this.agents.map((agent) => agent.program.end('SIGTERM')));
    await this.control.end('SIGTERM');
    this.keepAlive.destroy();
    await rm(this.folder, { recursive: true, force: true });
  }
}

/** Polls until `check` gives something other than null; fails with `what` after `timeoutMs`. */
export async function until<T>(
  what: string,
  check: () => Promise<T | null>,
  timeoutMs = 15_000,
): Promise<T> {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const found = await check();
    if (found !== null) return found;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((wake) => setTimeout(wake, 20));
  }
}

/** Sends rows to agents until stopped; counts what was answered and what failed. */
export class Traffic {
  readonly #stack: Stack;
  readonly #rows: readonly (readonly number[])[];
  #running = true;
  #loops: Promise<void>[] = [];
  answeredRows = 0;
  failed: string[] = [];

  constructor(stack: Stack, agents: readonly AgentHandle[], rows: readonly (readonly number[])[]) {
    this.#stack = stack;
    this.#rows = rows;
    this.#loops = agents.map((agent) => this.#loop(agent));
  }

  async #loop(agent: AgentHandle): Promise<void> {
    for (let at = 0; this.#running; at += 1) {
      const row = this.#rows[at % this.#rows.length];
      try {
        const { status } = await this.#stack.infer(agent, [row]);
        if (status === 200) this.answeredRows += 1;
        else this.failed.push(`status ${status}`);
      } catch (error) {
        this.failed.push(String(error));
      }
      await new Promise((wake) => setTimeout(wake, 3));
    }
  }

  async stop(): Promise<void> {
    this.#running = false;
    await Promise.all(this.#loops);
  }
}
