import { spawn } from 'node:child_process';
import { join, resolve } from 'node:path';
import type { SimulationResult } from '../../agent/simulate/result.ts';
import type { LiveControl } from './live-control.ts';

/** Compiled, this file lies in dist/bench/support. */
const DIST = resolve(import.meta.dirname, '../..');

/**
 * `driftline simulate --json` against a control plane; resolves when it has ended.
 *
 * @param before what runs it: `taskset -c 1`, a network namespace
 */
export async function simulate(
  control: LiveControl,
  flags: readonly (string | number)[],
  before: readonly string[] = [],
): Promise<SimulationResult> {
  const args = ['simulate', '--control', control.url, '--json', ...flags.map(String)];
  const node = [process.execPath, join(DIST, 'agent/program/main.js'), ...args];
  const [program, ...rest] = [...before, ...node];
  const env = { ...process.env, DRIFTLINE_TOKEN: control.token };
  const child = spawn(program, rest, { env, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk;
  });
  await new Promise((ended) => child.once('exit', ended));
  return JSON.parse(text) as SimulationResult;
}

/** The words before a command that keep it on one core; null: it may run anywhere. */
export function onCore(core: number | null): readonly string[] {
  return core === null ? [] : ['taskset', '-c', `${core}`];
}
