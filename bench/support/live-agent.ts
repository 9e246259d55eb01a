import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import { describeMortgage } from './mortgage.ts';

/** Compiled, this file lies in dist/bench/support. */
const DIST = resolve(import.meta.dirname, '../..');
const START_TIMEOUT_MS = 30_000;
const RETRY_MS = 50;

/** A control plane and an agent as they are started by hand, the bundled example deployed on it. */
export class LiveAgent {
  readonly url: string;
  readonly #control: Program;
  readonly #agent: Program;

  private constructor(control: Program, agent: Program, url: string) {
    this.#control = control;
    this.#agent = agent;
    this.url = url;
  }

  /** Everything it writes goes below `folder`. */
  static async start(folder: string, engines: number): Promise<LiveAgent> {
    const control = new Program('control-plane/main.js', [
      ...['--data', join(folder, 'control'), '--port', '0', '--print-token'],
    ]);
    const token = String((await control.line('admin-token')).token);
    const api = new Api(String((await control.line('listening')).url), token);
    const { token: ticket } = await api.send<{ token: string }>('POST', '/join-tokens', {});
    const agent = new Program('agent/main.js', [
      ...['--control', api.url, '--data', join(folder, 'agent'), '--join', ticket],
      ...['--name', 'bench', '--port', '0', '--engines', String(engines)],
    ]);
    const url = String((await agent.line('serving')).url);
    const live = new LiveAgent(control, agent, url);
    await api.deploy('mortgage', await describeMortgage(join(folder, 'mortgage')));
    await live.#ready();
    return live;
  }

  /** The supervisor's process; engines are its children. */
  get pid(): number {
    return this.#agent.pid;
  }

  async #ready(): Promise<void> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    while (!(await fetch(`${this.url}/v2/models/mortgage/ready`)).ok) {
      if (Date.now() > deadline) throw new Error(`no model in time:\n${this.#agent.text}`);
      await new Promise((wake) => setTimeout(wake, RETRY_MS));
    }
  }

  async stop(): Promise<void> {
    await this.#agent.stop();
    await this.#control.stop();
  }
}

/** A program of ours and the JSON lines that it writes. */
class Program {
  readonly #child: ChildProcess;
  text = '';

  constructor(script: string, args: readonly string[]) {
    this.#child = spawn(process.execPath, [join(DIST, script), ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const take = (chunk: Buffer) => {
      this.text += chunk;
    };
    this.#child.stdout?.on('data', take);
    this.#child.stderr?.on('data', take);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async line(msg: string): Promise<Record<string, unknown>> {
    const deadline = Date.now() + START_TIMEOUT_MS;
    for (;;) {
      const found = this.text.split('\n').find((line) => line.includes(`"msg":"${msg}"`));
      if (found !== undefined) return JSON.parse(found) as Record<string, unknown>;
      if (this.#child.exitCode !== null || Date.now() > deadline) {
        throw new Error(`no "${msg}" (exit ${this.#child.exitCode}):\n${this.text}`);
      }
      await new Promise((wake) => setTimeout(wake, RETRY_MS));
    }
  }

  async stop(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((wake) => this.#child.once('exit', wake));
    this.#child.kill('SIGTERM');
    await ended;
  }
}

class Api {
  readonly url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.url = url;
    this.#token = token;
  }

  async send<T>(method: string, path: string, body: object | Buffer): Promise<T> {
    const raw = Buffer.isBuffer(body);
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        'content-type': raw ? 'application/octet-stream' : 'application/json',
      },
      body: raw ? new Uint8Array(body) : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? {} : JSON.parse(text)) as T;
  }

  async deploy(name: string, files: ModelFiles): Promise<void> {
    const paths = [files.modelPath, files.profilePath, files.goldenPath, files.manifestPath];
    for (const path of paths) {
      if (path === null) continue;
      const bytes = await readFile(path);
      const digest = createHash('sha256').update(bytes).digest('hex');
      await this.send('PUT', `/artifacts/sha256:${digest}`, bytes);
    }
    const { version } = await this.send<{ version: number }>('POST', `/models/${name}/versions`, {
      manifest: files.manifest,
    });
    await this.send('PUT', `/deployments/${name}`, { model: name, version, windowMs: 60_000 });
  }
}
