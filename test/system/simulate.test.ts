import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SimulationResult } from '../../agent/simulate/result.ts';
import { ROOT } from '../support/source-files.ts';
import { Stack } from '../support/stack.ts';

let stack: Stack;

beforeAll(async () => {
  stack = await Stack.start();
  for (const which of ['v1', 'v2'] as const) await stack.push(which);
  await stack.deploy(1, 2_000);
  await stack.deploy(2, 2_000);
});
afterAll(() => stack.stop());

/** Runs the command to its end, whatever its exit code. */
function simulate(...flags: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const main = join(ROOT, 'dist/control-plane/cli/main.js');
  const env = { ...process.env, DRIFTLINE_URL: stack.url, DRIFTLINE_TOKEN: stack.token };
  const args = [main, 'simulate', '--control', stack.url, ...flags];
  return new Promise((resolve) => {
    execFile(process.execPath, args, { env }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

describe('driftline simulate', () => {
  it('has every window of a bad network merged exactly once, and every agent back at the version before', async () => {
    const network = ['--drop', '0.01', '--duplicate', '0.1', '--reorder', '0.1', '--delay', '5'];
    const trouble = ['--skew', '60000', '--crashes', '1', '--seed', '7'];
    const size = ['--agents', '20', '--seconds', '16', '--rows', '50'];
    const rollback = ['--rollback', 'mortgage@1', '--json'];
    const { code, stdout } = await simulate(...size, ...network, ...trouble, ...rollback);
    const result = JSON.parse(stdout) as SimulationResult;
    expect(result).toMatchObject({ agents: 20, connected: 20, windowsDropped: 0, failures: {} });
    expect(result.windowsProduced).toBeGreaterThan(100);
    expect(result.windowsMerged).toBe(result.windowsProduced);
    expect(result.rollback?.confirmed).toBeGreaterThanOrEqual(19);
    expect(result.controlPlane.rssMB).toBeGreaterThan(50);
    expect(code).toBe(0);
  });

  it.each([
    [['--agents', '0'], '--agents 0: a number from 1 to 20000'],
    [['--agents', '5', '--drop', '2'], '--drop 2: a number from 0 to 1'],
    [['--agents', '5', '--rollbacks', '3'], '--rollbacks needs --rollback D@V'],
    [['--agents', '5', '--rollback', 'mortgage'], 'a deployment and a version, as mortgage@1'],
  ])('refuses %j with exit code 2', async (flags, message) => {
    const { code, stderr } = await simulate(...flags);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });
});
