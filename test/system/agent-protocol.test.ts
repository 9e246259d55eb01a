import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { DesiredState } from '../../protocol/desired.ts';
import { generateSigningKey, type SigningKey, seal } from '../../protocol/signing.ts';
import { rootFingerprint } from '../../protocol/trust/root.ts';
import { ControlEnd } from '../agent/link/control-end.ts';
import { ROOT } from '../support/source-files.ts';

const AGENT = `agt_${'c'.repeat(24)}`;
const HOUR_MS = 3_600_000;

let folder: string;
let control: ControlEnd;
let agent: ChildProcess;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'agent-'));
  control = await ControlEnd.listen();
});
afterEach(async () => {
  await stop();
  await control.close();
  await rm(folder, { recursive: true });
});

/** A real agent process, linked to a control plane that is this test. */
async function start(): Promise<void> {
  const fingerprint = (await rootFingerprint(control.roots[0])).slice(0, 32);
  const token = `dlj_${'0'.repeat(8)}_${'1'.repeat(64)}_${fingerprint}`;
  const main = join(ROOT, 'dist/agent/main.js');
  const flags = ['--control', control.url, '--join', token, '--data', folder];
  const ports = ['--port', '0', '--grpc-port', '0', '--metrics-port', '0'];
  const serving = [...ports, '--engines', '1', '--log-level', 'silent'];
  const links = control.connections;
  agent = spawn(process.execPath, [main, ...flags, ...serving], { stdio: 'ignore' });
  await control.until(() => control.connections > links);
  control.challenge();
  await control.heardOf('hello', control.connections);
  await control.welcome();
}

async function stop(): Promise<void> {
  if (agent.exitCode !== null || agent.signalCode !== null) return;
  const ended = once(agent, 'exit');
  agent.kill('SIGTERM');
  await ended;
}

async function say(fields: Partial<DesiredState>, key: SigningKey = control.key): Promise<void> {
  const now = Date.now();
  const state: DesiredState = {
    agent: AGENT,
    generation: 1,
    issuedAt: now,
    expiresAt: now + HOUR_MS,
    deployments: [],
    ...fields,
  };
  const payload = new TextEncoder().encode(JSON.stringify(state));
  control.say({ kind: 'desired', envelope: await seal(key, 'desired', payload) });
}

async function applied(generation: number): Promise<void> {
  await control.until(() =>
    control.heard.some((message) => message.kind === 'report' && message.applied === generation),
  );
}

/** What the agent says of the n-th document that it refused. */
async function refusal(count: number): Promise<string> {
  await control.until(() => refusals().length >= count);
  return refusals()[count - 1];
}

const refusals = () =>
  control.heard.flatMap((message) =>
    message.kind === 'event' && message.name === 'desired-refused' ? [message.detail] : [],
  );

describe('a host', () => {
  it('DESIRED-7: never goes back to an older generation, and says so', async () => {
    await start();
    await say({ generation: 5 });
    await applied(5);
    await say({ generation: 4 });
    expect(await refusal(1)).toContain('generation 4 is older than 5');
    await say({ generation: 6 });
    await applied(6);
  });

  it('DESIRED-8: accepts no document that has expired', async () => {
    await start();
    await say({ generation: 5, issuedAt: 0, expiresAt: Date.now() - 1000 });
    expect(await refusal(1)).toContain('generation 5 expired at');
    await say({ generation: 5 });
    await applied(5);
  });

  it('DESIRED-1: accepts no document by another key or for another host', async () => {
    await start();
    await say({ generation: 9 }, (await generateSigningKey()).key);
    expect(await refusal(1)).toContain('is no online key of this host');
    await say({ generation: 9, agent: `agt_${'d'.repeat(24)}` });
    expect(await refusal(2)).toContain(`not for ${AGENT}`);
    await say({ generation: 2 });
    await applied(2);
  });

  it('DESIRED-9: says after a restart which generation it holds, and refuses older ones', async () => {
    await start();
    await say({ generation: 5 });
    await applied(5);
    await stop();
    await start();
    const hello = (await control.heardOf('hello', 2))[1];
    expect(hello).toMatchObject({ generation: 5, agent: AGENT, join: null });
    await say({ generation: 3 });
    expect(await refusal(1)).toContain('generation 3 is older than 5');
  });

  it('EGRESS-2: tells at each welcome what has left it, over restarts', async () => {
    await start();
    await say({ generation: 5 });
    await applied(5);
    const [first] = await control.heardOf('ledger');
    expect(first.egress.link?.messages).toBeGreaterThan(0);
    expect(first.egress.traces).toBeUndefined();
    await stop();
    await start();
    const second = (await control.heardOf('ledger', 2))[1];
    expect(second.sinceMs).toBe(first.sinceMs);
    expect(second.egress.report?.bytes).toBeGreaterThan(0);
    expect(second.egress.link?.messages).toBeGreaterThan(first.egress.link?.messages ?? 0);
  });
});
