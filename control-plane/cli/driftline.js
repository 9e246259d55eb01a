#!/usr/bin/env node
// Plain JavaScript, because it runs before anything is built. In a checkout it builds when sources
// are newer than what was built from them; in an installed package there is nothing to build from.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const program = join(root, 'dist/control-plane/cli/main.js');
const built = join(root, 'dist/.tsbuildinfo');

/** Whether a file below `folder` that is built from is newer than `than`. */
function hasNewer(folder, than) {
  return readdirSync(folder, { withFileTypes: true }).some((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return entry.name !== 'examples' && hasNewer(path, than);
    return /\.(ts|sql)$/.test(entry.name) && statSync(path).mtimeMs > than;
  });
}

function isStale() {
  if (!existsSync(program)) return true;
  if (!existsSync(join(root, 'node_modules/typescript')) || !existsSync(built)) return false;
  const builtAt = statSync(built).mtimeMs;
  return ['protocol', 'agent', 'control-plane'].some((name) => hasNewer(join(root, name), builtAt));
}

if (isStale()) {
  process.stderr.write('driftline: building (only after sources have changed)\n');
  const build = spawnSync('npm', ['run', '--silent', 'build'], {
    cwd: root,
    // The build's words are no part of a command's output, which may be JSON.
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32',
  });
  if (build.status !== 0) {
    process.stderr.write(
      'driftline: the build failed; run "npm ci" in the checkout and try again\n',
    );
    process.exit(1);
  }
  // The compiler leaves this as it is when a source was touched and not changed.
  utimesSync(built, new Date(), new Date());
}
await import('../../dist/control-plane/cli/main.js');
