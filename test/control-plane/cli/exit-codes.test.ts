import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../../../control-plane/cli/driftline.js', import.meta.url));

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

function driftline(...argv: string[]): Promise<Ran> {
  // Port 1 answers nobody.
  const env = { ...process.env, DRIFTLINE_URL: 'http://127.0.0.1:1', DRIFTLINE_TOKEN: 'dlt_x' };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, ...argv], { env }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('driftline', { timeout: 20_000 }, () => {
  it('exits with 0 for help', async () => {
    const { code, out } = await driftline('--help');
    expect(code).toBe(0);
    for (const name of [
      'up',
      'control',
      'agent',
      'deploy',
      'rollback',
      'status',
      'drift',
      'demo',
    ]) {
      expect(out).toMatch(new RegExp(`^  ${name}\\b`, 'm'));
    }
  });

  it('teaches what each part of a residency means, on its command and on deploy', async () => {
    const { code, out } = await driftline('residency', '--help');
    expect(code).toBe(0);
    for (const flag of ['--jurisdictions', '--telemetry', '--outcomes', '--decisions']) {
      expect(out).toContain(`${flag} <`);
      expect(out).toMatch(new RegExp(`^  driftline residency loans ${flag} `, 'm'));
      expect((await driftline('deploy', '--help')).out).toContain(`${flag} <`);
    }
  });

  it.each([
    ['an unknown command', ['deplyo']],
    ['an unknown option', ['status', '--jsn']],
    ['a rollback without a reason', ['rollback', 'mortgage']],
    ['a version that is none', ['deploy', 'mortgage', '--as', 'mortgage']],
    ['a port that is none', ['up', '--port', '65536']],
  ])('exits with 2 for %s', async (_, argv) => {
    const { code, out, err } = await driftline(...argv);
    expect(code).toBe(2);
    expect(out).toBe('');
    expect(err).not.toBe('');
  });

  it('exits with 1 and says what to do when nobody answers', async () => {
    const { code, out, err } = await driftline('rollback', 'mortgage', '--reason', 'x', '--json');
    expect(code).toBe(1);
    expect(out).toBe('');
    expect(err).toContain('no answer from the control plane at http://127.0.0.1:1');
    expect(err).toContain('DRIFTLINE_URL');
  });
});
