import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../control-plane/cli/driftline.js', import.meta.url));
const LIMIT_MS = 90_000;

it('the demo detects, rolls back, and loses no request and no window', {
  timeout: LIMIT_MS,
}, async () => {
  const data = await mkdtemp(join(tmpdir(), 'driftline-demo-'));
  try {
    // A failing demo exits with 1 and still prints its line.
    const { stdout } = await promisify(execFile)(
      process.execPath,
      [PROGRAM, 'demo', '--json', '--data', data],
      { timeout: LIMIT_MS },
    ).catch((error: { stdout: string; stderr: string }) => {
      throw new Error(`${error.stderr}\n${error.stdout}`);
    });
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(1);
    const result = JSON.parse(lines[0] ?? '');
    expect(result).toMatchObject({ ok: true, failed: 0 });
    expect(result.requests).toBeGreaterThan(3000);
    // Two windows of 2 s and one second, and as much again for a machine that does other things too.
    expect(result.detectSeconds).toBeLessThan(10);
    expect(result.revertMs).toHaveLength(3);
    expect(Math.max(...result.revertMs)).toBeLessThan(1000);
    expect(result.windowsMerged).toBe(result.windowsProduced);
    expect(result.steps.every((step: { ok: boolean }) => step.ok)).toBe(true);
  } finally {
    await rm(data, { recursive: true, force: true });
  }
});
