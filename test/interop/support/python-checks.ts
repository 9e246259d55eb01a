import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { type PythonVenv, pythonVenv } from './python-venv.ts';
import { skipWithout } from './require.ts';
import { type ServedModels, serveModels } from './served-models.ts';

const run = promisify(execFile);

/** The environment is made by the first file that needs it. */
export const INSTALL_HOOK_TIMEOUT_MS = 360_000;
const SCRIPT_TIMEOUT_MS = 110_000;

const checkSchema = z.object({ name: z.string(), ok: z.boolean(), detail: z.string() });

/**
 * One test for each named check of a Python script, which asks an engine of this project. The names stand in the test
 * file, so that a report is the same where Python is missing; that the script has no others is a test too.
 */
export function describeChecks(script: string, names: readonly string[]): void {
  let venv: PythonVenv | null = null;
  let served: ServedModels | null = null;
  const results = new Map<string, string>();

  beforeAll(async () => {
    venv = await pythonVenv('clients');
    if (venv.kind === 'missing') return;
    served = await serveModels();
    for (const { name, ok, detail } of await ask(venv.python, script, served)) {
      results.set(name, ok ? 'ok' : detail);
    }
  }, INSTALL_HOOK_TIMEOUT_MS);
  afterAll(() => served?.stop());

  it.for(names)('%s', (name, context) => {
    if (venv?.kind === 'missing') skipWithout(context, venv.reason);
    expect(results.get(name)).toBe('ok');
  });
  it('has a test for each check of the script', (context) => {
    if (venv?.kind === 'missing') skipWithout(context, venv.reason);
    expect([...results.keys()]).toEqual(names);
  });
}

async function ask(python: string, script: string, { http, grpc, folder }: ServedModels) {
  const path = resolve(import.meta.dirname, '../python', script);
  const { stdout } = await run(
    python,
    [path, http, grpc, folder],
    // Bytecode belongs beside the environment, not into the checkout.
    { timeout: SCRIPT_TIMEOUT_MS, env: { ...process.env, PYTHONPYCACHEPREFIX: `${python}.cache` } },
  );
  return stdout
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => checkSchema.parse(JSON.parse(line)));
}
