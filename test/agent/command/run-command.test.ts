import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CommandRunner } from '../../../agent/command/run-command.ts';
import type { ModelFiles, ServingPlan } from '../../../agent/engine/messages.ts';
import type { CommandMessage } from '../../../protocol/command.ts';
import { temporaryFolder } from '../../support/mortgage.ts';

let folder: Awaited<ReturnType<typeof temporaryFolder>>;

beforeAll(async () => {
  folder = await temporaryFolder();
});
afterAll(() => folder.remove());

const MANIFEST = `sha256:${'1'.repeat(64)}`;
const FILES: ModelFiles = {
  manifest: MANIFEST,
  manifestPath: '/m',
  modelPath: '/x',
  profilePath: null,
  goldenPath: null,
};
const PLAN: ServingPlan = {
  agent: `agt_${'0'.repeat(24)}`,
  generation: 1,
  deployments: [
    {
      name: 'loans',
      windowMs: 1000,
      serving: {},
      arms: [{ arm: 'stable', version: 3, manifest: MANIFEST, share: 1 }],
    },
  ],
};

const tune = (deployment: string, deadline = 1000): CommandMessage => ({
  kind: 'command',
  id: `cmd_${'0'.repeat(16)}`,
  deadline,
  command: { name: 'tune', deployment },
});

const DEPS = {
  filesOf: () => FILES,
  rotateKey: async () => new Uint8Array(32).fill(7),
  drain: async (draining: boolean) => (draining ? 3 : 0),
  restartEngines: async () => 2,
  recall: async () => null,
  diagnose: async () => {
    throw new Error('not in this test');
  },
  setLogLevel: (_: string, forMs: number) => forMs,
  now: () => 0,
};

/** A host whose tuning process is this script. */
async function hostWith(name: string, script: string): Promise<CommandRunner> {
  const program = join(folder.path, `${name}.mjs`);
  await writeFile(program, script);
  return new CommandRunner({ ...DEPS, plan: () => PLAN, program });
}

/** Says back what it was asked, as a table. */
const ECHO = `
const { version, files } = JSON.parse(process.argv[3]);
const row = { placement: 'inline', workers: 0, intraOpThreads: 1, batchSize: 1, callUs: 9, rowsPerSecond: 9 };
console.log('a line of a library');
console.log(JSON.stringify({ ok: true, tuning: {
  version, manifest: files.manifest, cores: 1, rowsIndependent: true,
  rows: [row], recommended: {}, reason: process.argv[2], leftOut: null,
} }));
`;

describe('a host', () => {
  it('COMMAND-6: measures its stable version in a process of its own', async () => {
    const host = await hostWith('echo', ECHO);
    const outcome = await host.run(tune('loans'));
    expect(outcome).toMatchObject({
      ok: true,
      value: { name: 'tune', tuning: { version: 3, manifest: MANIFEST, reason: 'tune' } },
    });
  });

  it('COMMAND-4: runs one command of a kind, and is free again after it', async () => {
    const host = await hostWith('twice', ECHO);
    const [first, second] = await Promise.all([host.run(tune('loans')), host.run(tune('loans'))]);
    expect(first).toMatchObject({ ok: true });
    expect(second).toMatchObject({ ok: false, code: 'busy' });
    expect(await host.run(tune('loans'))).toMatchObject({ ok: true });
  });

  it('COMMAND-5: begins nothing at or past its deadline', async () => {
    const host = await hostWith('late', ECHO);
    expect(await host.run(tune('loans', 0))).toMatchObject({ ok: false, code: 'expired' });
    expect(await host.run(tune('loans', -5000))).toEqual({
      ok: false,
      code: 'expired',
      message: '"tune" came 5000 ms too late',
    });
  });

  it('COMMAND-6: says that it does not serve a deployment', async () => {
    const host = await hostWith('other', ECHO);
    expect(await host.run(tune('cards'))).toMatchObject({ ok: false, code: 'unknown-deployment' });
    const idle = new CommandRunner({ ...DEPS, plan: () => null });
    expect(await idle.run(tune('loans'))).toMatchObject({ code: 'unknown-deployment' });
  });

  it('COMMAND-6: makes the key that it will come back with', async () => {
    const host = new CommandRunner({ ...DEPS, plan: () => null });
    const id = `cmd_${'2'.repeat(16)}`;
    const command = { name: 'rotate-key' } as const;
    expect(await host.run({ kind: 'command', id, deadline: 1, command })).toEqual({
      ok: true,
      value: { name: 'rotate-key', publicKey: new Uint8Array(32).fill(7) },
    });
  });

  it.each([
    [{ name: 'drain' as const }, { inFlight: 3 }],
    [{ name: 'undrain' as const }, {}],
    [{ name: 'restart-engines' as const }, { restarted: 2 }],
    [
      { name: 'log-level' as const, level: 'debug' as const, forMs: 5 },
      { level: 'debug', until: 5 },
    ],
  ])('COMMAND-6: answers $name with a value of its kind', async (command, value) => {
    const host = new CommandRunner({ ...DEPS, plan: () => null });
    const id = `cmd_${'2'.repeat(16)}`;
    const outcome = await host.run({ kind: 'command', id, deadline: 1, command });
    expect(outcome).toEqual({ ok: true, value: { name: command.name, ...value } });
  });

  it('COMMAND-8: says that it does not remember a decision', async () => {
    const host = new CommandRunner({ ...DEPS, plan: () => null });
    const decision = 'c8888a03350e.mwz7bly8.4iyic2hy4h.0';
    const command = { name: 'decision', deployment: 'loans', id: decision, row: 0 } as const;
    const id = `cmd_${'2'.repeat(16)}`;
    const outcome = await host.run({ kind: 'command', id, deadline: 1, command });
    expect(outcome).toMatchObject({ ok: false, code: 'unknown-decision' });
  });

  it.each([
    ['crashes', 'process.kill(process.pid, "SIGSEGV"); setInterval(() => {}, 1000);', /SIGSEGV/],
    ['throws', 'throw new Error("no such file");', /ended with 1: .*no such file/s],
    ['says nothing', '', /ended with 0: it said nothing/],
    ['says no', 'console.log(`{"ok":false,"error":"no session"}`);', /^no session$/],
    ['says rubbish', 'console.log(`{"ok":true,"tuning":{}}`);', /no table/],
  ])(
    'COMMAND-6: answers "failed" with the reason when the process %s',
    async (name, script, why) => {
      const host = await hostWith(name.replaceAll(' ', '-'), script);
      const outcome = await host.run(tune('loans'));
      expect(outcome).toMatchObject({ ok: false, code: 'failed' });
      expect(outcome.ok ? '' : outcome.message).toMatch(why);
    },
  );

  it('ends the process when it stops', async () => {
    const host = await hostWith('endless', 'setInterval(() => {}, 1000);');
    const running = host.run(tune('loans'));
    host.stop();
    expect(await running).toMatchObject({ ok: false, code: 'failed' });
  });
});
