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

/** A control plane as it is started by hand. */
export class LiveControl {
  readonly url: string;
  readonly token: string;
  readonly #start: (port: string) => Program;
  readonly #api: Api;
  #program: Program;

  private constructor(program: Program, start: (port: string) => Program, api: Api, token: string) {
    this.#program = program;
    this.#start = start;
    this.#api = api;
    this.url = api.url;
    this.token = token;
  }

  static async start(
    folder: string,
    core: number | null = null,
    host = '127.0.0.1',
  ): Promise<LiveControl> {
    const flags = ['--data', join(folder, 'control'), '--host', host, '--print-token'];
    const start = (port: string) =>
      new Program('control-plane/main.js', [...flags, '--port', port], core);
    const program = start('0');
    const token = String((await program.line('admin-token')).token);
    const url = String((await program.line('listening')).url);
    return new LiveControl(program, start, new Api(url, token), token);
  }

  /** Kills it (-9), and starts it again at the same address after so long. */
  async crash(downMs: number): Promise<void> {
    await this.#program.stop('SIGKILL');
    await new Promise((wake) => setTimeout(wake, downMs));
    this.#program = this.#start(new URL(this.url).port);
    await this.#program.line('listening');
  }

  /** Of `/metrics`, without labels; null while nobody answers. */
  async metric(name: string): Promise<number | null> {
    const headers = { authorization: `Bearer ${this.token}` };
    const text = await fetch(`${this.url}/metrics`, { headers }).then(
      (response) => response.text(),
      () => '',
    );
    const line = text.split('\n').find((each) => each.startsWith(`${name} `));
    return line === undefined ? null : Number(line.slice(name.length));
  }

  /** Windows of a deployment that were merged of what began since `fromMs`. */
  async mergedWindows(deployment: string, fromMs: number): Promise<number> {
    const path = `/deployments/${deployment}/monitoring?from=${fromMs}&include=windows`;
    const { totals } = await this.#api.send<{ totals: { windows: number } }>('GET', path, null);
    return totals.windows;
  }

  async joinToken(): Promise<string> {
    return (await this.#api.send<{ token: string }>('POST', '/join-tokens', {})).token;
  }

  async deploy(name: string, files: ModelFiles, windowMs = 60_000): Promise<void> {
    await this.#api.deploy(name, files, windowMs);
  }

  /** Versions 1 and 2 of the example, the second in place. */
  async deployTwoVersions(name: string, folder: string, windowMs: number): Promise<void> {
    await this.deploy(name, await describeMortgage(join(folder, '1')), windowMs);
    await this.deploy(name, await describeMortgage(join(folder, '2'), 'v3.onnx'), windowMs);
  }

  async stop(): Promise<void> {
    await this.#program.stop();
  }
}

/** A program of ours and the JSON lines that it writes. */
export class Program {
  readonly #child: ChildProcess;
  text = '';

  constructor(script: string, args: readonly string[], core: number | null = null) {
    const node = [process.execPath, join(DIST, script), ...args];
    const [program, ...rest] = core === null ? node : ['taskset', '-c', `${core}`, ...node];
    this.#child = spawn(program, rest, {
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

  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise((wake) => this.#child.once('exit', wake));
    this.#child.kill(signal);
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

  async send<T>(method: string, path: string, body: object | Buffer | null): Promise<T> {
    const raw = Buffer.isBuffer(body);
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.#token}`,
        'content-type': raw ? 'application/octet-stream' : 'application/json',
      },
      body: raw ? new Uint8Array(body) : body === null ? null : JSON.stringify(body),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return (text === '' ? {} : JSON.parse(text)) as T;
  }

  async deploy(name: string, files: ModelFiles, windowMs: number): Promise<void> {
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
    await this.send('PUT', `/deployments/${name}`, { model: name, version, windowMs });
  }
}
