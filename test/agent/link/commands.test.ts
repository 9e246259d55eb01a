import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadIdentity } from '../../../agent/link/identity-file.ts';
import { Link, type LinkOptions } from '../../../agent/link/link.ts';
import { openSocket } from '../../../agent/link/node-socket.ts';
import { Outbox } from '../../../agent/link/outbox.ts';
import { loadTrust } from '../../../agent/link/root-file.ts';
import type { TrustStore } from '../../../agent/link/trust-store.ts';
import type { CommandMessage, CommandOutcome } from '../../../protocol/command.ts';
import { ControlEnd } from './control-end.ts';

const FAILED: CommandOutcome = { ok: false, code: 'failed', message: 'the model threw' };

let folder: string;
let control: ControlEnd;
let outbox: Outbox;
let trust: TrustStore;
let link: Link;
/** Commands that the host was given, and how each is answered. */
let given: { message: CommandMessage; answer: (outcome: CommandOutcome) => void }[];

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'link-'));
  control = await ControlEnd.listen();
  const identity = await loadIdentity(folder);
  await identity.admitted(`agt_${'c'.repeat(24)}`, control.key.publicKey);
  trust = await loadTrust(folder);
  outbox = await Outbox.open({ folder: join(folder, 'outbox'), boot: '00112233aabbccdd' });
  given = [];
  const options: LinkOptions = {
    controlUrl: control.url,
    identity,
    trust,
    outbox,
    join: null,
    boot: '00112233aabbccdd',
    connect: (url) => openSocket(url, null),
    capabilities: {
      runtime: 'node',
      runtimeVersion: 'v20',
      platform: 'linux-x64',
      cores: 2,
      engines: 1,
      providers: ['cpu'],
    },
    serving: () => null,
    generation: () => 0,
    onDesired: () => link.send({ kind: 'event', at: 0, name: 'fell-back', detail: 'desired' }),
    onCommand: (message) =>
      new Promise((answer) => {
        given.push({ message, answer });
        link.send({ kind: 'event', at: 0, name: 'fell-back', detail: 'command' });
      }),
    onToken: () => undefined,
    onOnline: () => undefined,
    onSent: () => undefined,
    log: () => undefined,
  };
  link = new Link(options);
  link.start();
  await online();
});

afterEach(async () => {
  link.stop();
  await control.close();
  await outbox.close();
  await rm(folder, { recursive: true });
});

async function online(): Promise<void> {
  const links = control.heard.filter(({ kind }) => kind === 'hello').length + 1;
  await control.until(() => control.connections >= links);
  control.challenge();
  await control.heardOf('hello', links);
  await control.welcome();
}

const command = (digit: string): CommandMessage => ({
  kind: 'command',
  id: `cmd_${digit.repeat(16)}`,
  deadline: 60_000,
  command: { name: 'tune', deployment: 'loans' },
});

it('COMMAND-1: a result carries the id of its command back', async () => {
  control.say(command('1'));
  control.say(command('2'));
  await control.heardOf('event', 2);
  given[1]?.answer(FAILED);
  given[0]?.answer(FAILED);
  const results = await control.heardOf('result', 2);
  expect(results).toEqual([
    { kind: 'result', id: `cmd_${'2'.repeat(16)}`, outcome: FAILED },
    { kind: 'result', id: `cmd_${'1'.repeat(16)}`, outcome: FAILED },
  ]);
});

it('COMMAND-6: what comes behind a command is read while it runs', async () => {
  control.say(command('1'));
  const signature = new Uint8Array(64);
  const envelope = { payload: new Uint8Array(1), keyId: '0'.repeat(16), signature };
  control.say({ kind: 'desired', envelope });
  const events = await control.heardOf('event', 2);
  expect(events.map(({ detail }) => detail)).toEqual(['command', 'desired']);
  given[0]?.answer(FAILED);
  await control.heardOf('result');
});

it('COMMAND-1: a result goes back on no other link than the one that asked', async () => {
  control.say(command('1'));
  await control.heardOf('event');
  control.hangUp();
  await online();
  given[0]?.answer(FAILED);
  control.say(command('2'));
  await control.heardOf('event', 2);
  given[1]?.answer(FAILED);
  const results = await control.heardOf('result');
  expect(results.map(({ id }) => id)).toEqual([`cmd_${'2'.repeat(16)}`]);
});

it('COMMAND-5: its deadline is told on the clock of this host', async () => {
  // The welcome of this control plane says that it is 1970 there.
  control.say(command('1'));
  await control.heardOf('event');
  const leftMs = (given[0]?.message.deadline ?? 0) - Date.now();
  expect(leftMs).toBeGreaterThan(50_000);
  expect(leftMs).toBeLessThanOrEqual(60_000);
});
