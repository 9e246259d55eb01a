import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Environments by name; each has `requirements-{name}.txt`, its whole closure pinned. */
export type EnvironmentName = 'clients' | 'feast' | 'statistics' | 'traces';

const FOLDER = resolve(import.meta.dirname, '..');
/** Half a gigabyte over a slow line. */
const INSTALL_TIMEOUT_MS = 300_000;

/** An environment that is there, or why it is not. */
export type PythonVenv =
  | { readonly kind: 'ready'; readonly python: string }
  | { readonly kind: 'missing'; readonly reason: string };

/**
 * The Python of a virtual environment with what `requirements-{name}.txt` pins. Made once for each content of that file
 * and kept outside the checkout (`XDG_CACHE_HOME`, else `~/.cache`), because `npm ci` empties node_modules.
 * Missing: no Python 3 with venv, no pip, or no package index in reach.
 */
export async function pythonVenv(name: EnvironmentName): Promise<PythonVenv> {
  try {
    return { kind: 'ready', python: await make(name) };
  } catch (error) {
    return { kind: 'missing', reason: `no Python environment "${name}": ${lastLine(error)}` };
  }
}

async function make(name: EnvironmentName): Promise<string> {
  const requirements = join(FOLDER, `requirements-${name}.txt`);
  const { stdout: version } = await run('python3', ['-VV']);
  const key = createHash('sha256')
    .update(version)
    .update(await readFile(requirements))
    .digest('hex')
    .slice(0, 16);
  const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'driftline-interop');
  const folder = join(cache, `${name}-${key}`);
  const python = join(folder, 'bin/python');
  if (await exists(python)) return python;
  await mkdir(cache, { recursive: true });
  // Filled under another name: a folder of the right name is always whole, whoever was killed or came second.
  const unfinished = `${folder}.${process.pid}`;
  try {
    await fill(unfinished, requirements);
    await rename(unfinished, folder).catch(async (error: unknown) => {
      if (!(await exists(python))) throw error;
    });
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return python;
}

async function fill(folder: string, requirements: string): Promise<void> {
  await run('python3', ['-m', 'venv', folder]);
  await run(
    join(folder, 'bin/python'),
    [
      ...['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check'],
      // One retry: where no index is in reach, that should be known in seconds.
      ...['--retries', '1', '--timeout', '20'],
      // No resolver, because the file has the closure; no bytecode of the files that nobody imports.
      ...['--no-deps', '--no-compile', '--only-binary=:all:', '-r', requirements],
    ],
    { timeout: INSTALL_TIMEOUT_MS },
  );
}

function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** What a failed command said last: pip and venv end with the reason. */
function lastLine(error: unknown): string {
  const { stderr = '', message = String(error) } = error as { stderr?: string; message?: string };
  return (stderr || message).trim().split('\n').at(-1) ?? '';
}
