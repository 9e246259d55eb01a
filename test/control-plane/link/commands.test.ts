import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { CommandOutcome } from '../../../protocol/command.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const ACTOR = 'token:ops';
const TUNE = { name: 'tune', deployment: 'loans' } as const;
const BUSY: CommandOutcome = { ok: false, code: 'failed', message: 'the model threw' };

let control: ControlFixture;

beforeEach(async () => {
  control = await ControlFixture.start();
});

afterEach(() => control.stop());

const asked = (agent: LinkAgent, count = 1) =>
  agent.until(() => agent.received.filter(({ kind }) => kind === 'command').length >= count);

function idOf(agent: LinkAgent): string {
  if (agent.id === null) throw new Error('not joined');
  return agent.id;
}

const failure = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: Error) => error.message,
  );

describe('a command', () => {
  it('COMMAND-1: comes to the host with an id and a deadline, and back with its result', async () => {
    const agent = await control.agent();
    const before = Date.now();
    const sent = control.hub.commands.send(idOf(agent), TUNE, 5000, ACTOR);
    await asked(agent);
    const { id, deadline, command } = agent.last('command');
    expect(command).toEqual(TUNE);
    expect(deadline).toBeGreaterThanOrEqual(before + 5000);
    agent.send({ kind: 'result', id, outcome: BUSY });
    expect((await sent).outcome).toEqual(BUSY);
  });

  it('COMMAND-2: is answered by its own host and id alone, once', async () => {
    const [agent, stranger] = [await control.agent(), await control.agent()];
    const sent = control.hub.commands.send(idOf(agent), TUNE, 5000, ACTOR);
    await asked(agent);
    const { id } = agent.last('command');
    stranger.send({ kind: 'result', id, outcome: { ...BUSY, message: 'by a stranger' } });
    agent.send({ kind: 'result', id: `cmd_${'0'.repeat(16)}`, outcome: BUSY });
    // What a link says is taken in order: once this window is acknowledged, the forgery has been read.
    const [first] = control.manifests;
    const place = { deployment: 'loans', manifest: first, arm: 'stable' as const };
    stranger.window(
      { ...place, windowStartMs: 2000, windowMs: 2000 },
      syntheticWindow(seeded(1), { rows: 1 }),
    );
    await stranger.acked();
    agent.send({ kind: 'result', id, outcome: BUSY });
    expect((await sent).outcome).toEqual(BUSY);
    agent.send({ kind: 'result', id, outcome: BUSY });
    expect([agent.closed, stranger.closed]).toEqual([null, null]);
  });

  it('COMMAND-2: that nobody answers fails at its end, and a late result changes nothing', async () => {
    const agent = await control.agent();
    const told = failure(control.hub.commands.send(idOf(agent), TUNE, 30, ACTOR));
    expect(await told).toBe(`agent ${agent.id} has not answered "tune" in 0.03 s`);
    agent.send({ kind: 'result', id: agent.last('command').id, outcome: BUSY });
    const again = control.hub.commands.send(idOf(agent), TUNE, 5000, ACTOR);
    await asked(agent, 2);
    agent.send({ kind: 'result', id: agent.last('command').id, outcome: BUSY });
    expect((await again).outcome).toEqual(BUSY);
  });

  it('COMMAND-3: fails at once where the host is away, too old, or goes', async () => {
    const agent = await control.agent();
    const { commands, fleet } = control.hub;
    const sent = failure(commands.send(idOf(agent), TUNE, 5000, ACTOR));
    await asked(agent);
    await agent.cut();
    expect(await sent).toBe(`agent ${agent.id} went away during "tune"`);
    expect(fleet.connected().size).toBe(0);
    const away = failure(commands.send(idOf(agent), TUNE, 5000, ACTOR));
    expect(await away).toBe(`agent ${agent.id} is not connected`);

    const challenge = await agent.open(control.url);
    agent.send(await agent.hello(challenge, { protocol: 1 }));
    await agent.until(() => agent.desired !== null);
    expect(agent.last('welcome').protocol).toBe(1);
    const old = failure(commands.send(idOf(agent), TUNE, 5000, ACTOR));
    expect(await old).toMatch(/speaks protocol 1; "tune" needs 2: update it/);
    expect(agent.received.some(({ kind }) => kind === 'command')).toBe(false);
  });

  it('COMMAND-1: is answered by a host that leaves right behind its answer, as one does that rotates its key', async () => {
    const agent = await control.agent();
    const sent = control.hub.commands.send(idOf(agent), TUNE, 5000, ACTOR);
    await asked(agent);
    // Its report waits for the disk, its answer for the report, and the goodbye overtakes both.
    let free: () => void = () => undefined;
    const busy = control.store.write(() => new Promise<void>((resolve) => (free = resolve)));
    agent.report();
    agent.send({ kind: 'result', id: agent.last('command').id, outcome: BUSY });
    await agent.leave();
    await expect.poll(() => control.hub.fleet.connected().size).toBe(0);
    free();
    await busy;
    expect((await sent).outcome).toEqual(BUSY);
  });

  it('COMMAND-4: is one of its kind on a host, and no matter to other hosts', async () => {
    const [one, other] = [await control.agent(), await control.agent()];
    const first = control.hub.commands.send(idOf(one), TUNE, 5000, ACTOR);
    const second = failure(control.hub.commands.send(idOf(one), TUNE, 5000, ACTOR));
    expect(await second).toMatch(/a "tune" is running on agent .*: wait for it/);
    const elsewhere = control.hub.commands.send(idOf(other), TUNE, 5000, ACTOR);
    for (const agent of [one, other]) {
      await asked(agent);
      agent.send({ kind: 'result', id: agent.last('command').id, outcome: BUSY });
    }
    expect((await first).outcome).toEqual(BUSY);
    expect((await elsewhere).outcome).toEqual(BUSY);
  });
});
