import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { pythonVenv } from './python-venv.ts';

const run = promisify(execFile);

const FIXTURE = resolve(import.meta.dirname, '../python/feast_repo');
/** Its `feast` program: a script in an environment names the folder that the environment was made in. */
const FEAST = 'from feast.cli.cli import cli; cli()';
const START_TIMEOUT_MS = 60_000;
const LOOK_AGAIN_MS = 100;

/** A Feast feature server over the fixture's repository, or why there is none. */
export type Feast =
  | { readonly kind: 'ready'; readonly url: string; stop(): Promise<void> }
  | { readonly kind: 'missing'; readonly reason: string };

/** Fills the stores of a copy of the fixture and runs the real `feast serve` over it. */
export async function startFeast(): Promise<Feast> {
  const venv = await pythonVenv('feast');
  if (venv.kind === 'missing') return venv;
  const folder = await mkdtemp(join(tmpdir(), 'driftline-feast-'));
  await cp(FIXTURE, folder, { recursive: true });
  // Feast keeps an id of its user in the home folder, and tells its makers of uses.
  const env = { ...process.env, HOME: folder, FEAST_USAGE: 'False', PYTHONDONTWRITEBYTECODE: '1' };
  await run(venv.python, [join(folder, 'prepare.py')], { cwd: folder, env, timeout: 100_000 });
  const port = await freePort();
  const address = ['--host', '127.0.0.1', '--port', String(port), '--no-access-log'];
  const server = spawn(venv.python, ['-c', FEAST, '--chdir', folder, 'serve', ...address], {
    env,
    stdio: 'ignore',
    detached: true,
  });
  // Told by `exitCode`, too.
  server.on('error', () => undefined);
  const url = `http://127.0.0.1:${port}`;
  await healthy(url, server);
  return {
    kind: 'ready',
    url,
    async stop() {
      const exited = once(server, 'exit');
      // Its workers are processes of their own.
      if (server.pid !== undefined) process.kill(-server.pid, 'SIGTERM');
      await exited;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

/** It says nothing when it is ready, so it is asked. */
async function healthy(url: string, server: ChildProcess): Promise<void> {
  const untilMs = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < untilMs && server.exitCode === null) {
    const answer = await fetch(`${url}/health`).catch(() => null);
    if (answer?.status === 200) return;
    await new Promise((resolve) => setTimeout(resolve, LOOK_AGAIN_MS));
  }
  throw new Error(`feast serve is not ready at ${url}; exit code ${server.exitCode}`);
}
