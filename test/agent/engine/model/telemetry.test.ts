import { execFile, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ROOT, sourceFiles } from '../../../support/source-files.ts';

const run = promisify(execFile);
const STRACE = '/usr/bin/strace';
/** Some containers have the program and forbid its use. */
const MAY_TRACE = spawnSync(STRACE, ['-o', '/dev/null', 'true']).status === 0;

const MODEL = join(ROOT, 'control-plane/examples/mortgage/v1.onnx');
const urlOf = (path: string) => JSON.stringify(pathToFileURL(join(ROOT, path)).href);

/** What each child does. A look-up that ONNX Runtime starts in the background gets a second to be seen. */
const WAIT = 'await new Promise((resolve) => setTimeout(resolve, 1000));';
const OURS = `
  const { createNodeRuntime } = await import(${urlOf('dist/agent/engine/model/runtime-node.js')});
  const { readFile } = await import('node:fs/promises');
  const session = await (await createNodeRuntime()).open(await readFile(${JSON.stringify(MODEL)}));
  ${WAIT} await session.release();`;
const PLAIN = `
  const { default: ort } = await import(${urlOf('node_modules/onnxruntime-node/dist/index.js')});
  const session = await ort.InferenceSession.create(${JSON.stringify(MODEL)});
  ${WAIT} await session.release();`;
const CALLER = `
  const { connect } = await import('node:net');
  connect(9, '127.0.0.1').on('error', () => undefined);
  ${WAIT}`;

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'home-'));
});
afterEach(() => rm(home, { recursive: true }));

/** A child that looks like a user's host: no CI, no variable of ours, a home that is empty. */
const environment = () => ({ PATH: process.env.PATH, HOME: home, TMPDIR: join(home, 'tmp') });
const nodeArguments = (code: string) => ['--input-type=module', '--eval', code];

async function filesLeftBy(code: string): Promise<string[]> {
  await mkdir(join(home, 'tmp'));
  await run(process.execPath, nodeArguments(code), { env: environment(), cwd: home });
  const left = await readdir(home, { recursive: true, withFileTypes: true });
  return left.filter((entry) => entry.isFile()).map((entry) => entry.name);
}

/** Every system call with which a child, or a thread of it, speaks to a network. */
async function networkCallsOf(code: string): Promise<string[]> {
  const trace = join(home, 'trace');
  const filter = ['-f', '-qq', '-e', 'trace=connect,sendto,sendmsg,sendmmsg', '-e', 'signal=none'];
  const command = [...filter, '-o', trace, process.execPath, ...nodeArguments(code)];
  await run(STRACE, command, { env: environment(), cwd: home });
  const lines = (await readFile(trace, 'utf8')).split('\n');
  return lines.filter((line) => /AF_INET|sendto|sendm/.test(line) || /connect\(.*AF_/.test(line));
}

describe('opening a session', () => {
  it('PRIVACY-1: leaves no file in an empty home', async () => {
    expect(await filesLeftBy(OURS)).toEqual([]);
  });

  it('PRIVACY-1: would leave a device id without our runtime, so the check above can fail', async () => {
    expect(await filesLeftBy(PLAIN)).toContain('deviceid');
  });

  it.skipIf(!MAY_TRACE)('PRIVACY-1: speaks to no network', async () => {
    expect(await networkCallsOf(OURS)).toEqual([]);
    expect((await networkCallsOf(CALLER)).join()).toContain('127.0.0.1');
  });
});

describe('ORT_DISABLE_TELEMETRY', () => {
  const agent = sourceFiles('agent');
  const codeOf = (path: string) => agent.find((file) => file.path === path)?.code ?? '';

  it('PRIVACY-1: is set in the environment of every engine process that is started', () => {
    const forks = agent.flatMap(
      ({ code }) => code.match(/(?<![#.\w])fork\((?!\))[\s\S]*?\}\s*\)/g) ?? [],
    );
    expect(forks.length).toBeGreaterThan(0);
    for (const fork of forks) expect(fork).toMatch(/ORT_DISABLE_TELEMETRY: '1'/);
  });

  it('PRIVACY-1: is set before the one place that loads the runtime does so', () => {
    const loads = agent.filter(({ imports }) =>
      imports.some(({ target, kind }) => target === 'onnxruntime-node' && kind === 'value'),
    );
    expect(loads.map(({ path }) => path)).toEqual(['agent/engine/model/runtime-node.ts']);
    const code = codeOf('agent/engine/model/runtime-node.ts');
    const set = code.indexOf("process.env.ORT_DISABLE_TELEMETRY = '1'");
    expect(set).toBeGreaterThan(-1);
    expect(code.indexOf("await import('onnxruntime-node')")).toBeGreaterThan(set);
  });
});
