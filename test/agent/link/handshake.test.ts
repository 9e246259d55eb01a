import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../../agent/link/identity.ts';
import { loadIdentity } from '../../../agent/link/identity-file.ts';
import { Link } from '../../../agent/link/link.ts';
import { openSocket } from '../../../agent/link/node-socket.ts';
import { Outbox } from '../../../agent/link/outbox.ts';
import { loadTrust } from '../../../agent/link/root-file.ts';
import type { TrustStore } from '../../../agent/link/trust-store.ts';
import { fingerprintOf, generateSigningKey } from '../../../protocol/signing.ts';
import { telemetry } from '../../protocol/messages.ts';
import { AGENT, ControlEnd, WELCOME } from './control-end.ts';

const BOOT = '00112233aabbccdd';
const REVOKED = {
  kind: 'refused',
  code: 'revoked',
  detail: 'by hand',
  retryAfterMs: null,
} as const;

let folder: string;
let control: ControlEnd;
let identity: Identity;
let outbox: Outbox;
let trust: TrustStore;
let link: Link;
let logged: { message: string; detail: string }[];
let tokens: string[];
let wake: () => void = () => undefined;

/** Waits for the agent to take a download token, as it does with each welcome. */
async function online(welcomes = 1): Promise<void> {
  while (tokens.length < welcomes) await new Promise<void>((resolve) => (wake = resolve));
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'handshake-'));
  control = await ControlEnd.listen();
  identity = await loadIdentity(folder);
  await identity.admitted(AGENT, control.key.publicKey);
  trust = await loadTrust(folder);
  outbox = await Outbox.open({ folder: join(folder, 'outbox'), boot: BOOT });
  logged = [];
  tokens = [];
  const capabilities = {
    ...{ runtime: 'node' as const, runtimeVersion: 'v20', platform: 'linux-x64' },
    ...{ cores: 2, engines: 1, providers: ['cpu'] },
  };
  link = new Link({
    ...{
      controlUrl: control.url,
      identity,
      trust,
      outbox,
      join: null,
      boot: BOOT,
      capabilities,
    },
    connect: (url) => openSocket(url, null),
    onSent: () => undefined,
    serving: () => null,
    generation: () => 0,
    onCommand: async () => {
      const { publicKey } = await identity.prepareRotation();
      return { ok: true, value: { name: 'rotate-key', publicKey } };
    },
    onDesired: () => undefined,
    onToken: (token) => {
      tokens.push(token);
      wake();
    },
    onOnline: () => undefined,
    log: (_, message, detail) => logged.push({ message, detail: JSON.stringify(detail) }),
  });
  link.start();
  await hello(1);
});
afterEach(async () => {
  link.stop();
  await control.close();
  await outbox.close();
  await rm(folder, { recursive: true });
});

/** Challenges the agent on its nth link and waits for its hello. */
async function hello(count: number) {
  await control.until(() => control.connections >= count);
  control.challenge();
  const heard = await control.heardOf('hello', count);
  return heard[count - 1];
}

describe("HELLO-10: an agent is online only for who proves the control plane's key", () => {
  it('takes a welcome that is signed', async () => {
    await control.welcome();
    await online();
    expect([tokens, control.closed]).toEqual([['dld_t'], 0]);
  });

  it.each([
    ['without a signature', async () => WELCOME],
    [
      'signed by another key',
      async () => control.proven(WELCOME, (await generateSigningKey()).key),
    ],
    [
      'changed after it was signed',
      async () => ({ ...(await control.proven(WELCOME)), downloadToken: 'dld_mine' }),
    ],
  ])('drops one %s, and gives it no telemetry', async (_, made) => {
    const { kind: __, boot: ___, sequence: ____, ...window } = telemetry();
    await outbox.append(window);
    control.say(await made());
    await control.until(() => control.closed === 1);
    expect(logged.at(-1)?.detail).toContain('did not prove its key');
    expect([tokens, link.online, control.heard.length]).toEqual([[], false, 1]);
    expect(outbox.pending).toHaveLength(1);
  });

  it('HELLO-11: drops a welcome that was recorded on another link', async () => {
    const recorded = await control.proven(WELCOME);
    control.hangUp();
    await hello(2);
    control.say(recorded);
    await control.until(() => control.closed === 2);
    expect([tokens, link.online]).toEqual([[], false]);
  });

  it('drops a renewed welcome that is not signed', async () => {
    await control.welcome();
    control.say({ ...WELCOME, downloadToken: 'dld_mine' });
    await control.until(() => control.closed === 1);
    expect(tokens).toEqual(['dld_t']);
  });
});

describe('a control plane older than protocol 3', () => {
  /** As it says it: no roots, and no proof of its own. */
  function oldChallenge(): void {
    const { publicKey: controlKey } = control.key;
    const nonce = new Uint8Array(32).fill(7);
    control.say({ kind: 'challenge', nonce, controlKey, protocols: { min: 1, max: 2 } });
  }

  async function windowWaits(): Promise<void> {
    const { kind: _, boot: __, sequence: ___, ...window } = telemetry();
    await outbox.append(window);
    control.hangUp();
    await control.until(() => control.connections === 2);
    oldChallenge();
  }

  /** It is updated, and the host comes to it by itself with what waited. */
  async function isUpdated(hellos: number): Promise<void> {
    await control.until(() => control.connections === 3);
    control.challenge();
    await control.heardOf('hello', hellos);
    await control.welcome();
    await control.heardOf('telemetry');
  }

  it('is given no window by a host that has its root, until it proves itself again', async () => {
    await control.welcome();
    await online();
    await windowWaits();
    await control.heardOf('hello', 2);
    control.say({ ...WELCOME, protocol: 2 });
    await control.until(() => control.closed === 2);
    expect(logged.at(-1)?.detail).toContain('or one older than protocol 3');
    expect([tokens.length, outbox.pending.length]).toEqual([1, 1]);
    await isUpdated(3);
  });

  it('is told nothing by a host that was updated before it, and has no root yet', async () => {
    await windowWaits();
    await control.until(() => control.closed === 2);
    expect(logged.at(-1)?.detail).toContain('update it first');
    expect([tokens, outbox.pending.length]).toEqual([[], 1]);
    await isUpdated(2);
  });
});

describe('HELLO-12: only the control plane itself sends an agent away for good', () => {
  it('comes back after a refusal that nobody signed, or an impostor did', async () => {
    control.say(REVOKED);
    control.hangUp();
    await hello(2);
    control.say(await control.proven(REVOKED, (await generateSigningKey()).key));
    control.hangUp();
    await hello(3);
    expect(control.heard).toHaveLength(3);
  });
});

describe('HELLO-13: a host that waits for approval', () => {
  it('holds its link, says its fingerprint, and is let in on the same link', async () => {
    await control.answer({ kind: 'pending', agent: AGENT });
    await control.answer(WELCOME);
    await online();
    expect([tokens, control.closed, control.connections]).toEqual([['dld_t'], 0, 1]);
    const fingerprint = await fingerprintOf(identity.key.publicKey);
    expect(logged[0]?.detail).toContain(fingerprint);
  });

  it('drops the link when the word is not signed', async () => {
    control.say({ kind: 'pending', agent: AGENT });
    await control.until(() => control.closed === 1);
  });
});

it('ROTATE-2: a host that was told to rotate comes back with the new key and keeps it', async () => {
  await control.welcome();
  await online();
  const id = `cmd_${'1'.repeat(16)}`;
  control.say({ kind: 'command', id, deadline: 60_000, command: { name: 'rotate-key' } });
  const [result] = await control.heardOf('result');
  const { outcome } = result;
  if (!outcome.ok || outcome.value.name !== 'rotate-key') throw new Error('it refused');
  const old = control.heard.find(({ kind }) => kind === 'hello');
  const second = await hello(2);
  expect(second.publicKey).toEqual(outcome.value.publicKey);
  expect(second.rotation?.previousKey).toEqual(old?.kind === 'hello' && old.publicKey);
  await control.welcome();
  await online(2);
  expect((await loadIdentity(folder)).key.publicKey).toEqual(second.publicKey);
});
