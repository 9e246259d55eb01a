import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { endOf, recordedEnd } from '../../../control-plane/link/commands.ts';
import type { AgentId } from '../../../protocol/ids.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';

const ACTOR = 'token:ops';

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

function idOf({ id }: LinkAgent): AgentId {
  if (id === null) throw new Error('not joined');
  return id;
}

const events = async (...actions: string[]) =>
  (await eventsAfter(control.store.read, 0, 1000)).filter(({ action }) => actions.includes(action));

const asked = (agent: LinkAgent) =>
  agent.until(() => agent.received.some(({ kind }) => kind === 'command'));

const failure = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    (error: Error) => error.message,
  );

describe('the record of a command', () => {
  it('has who asked for what, and until when, before the host has heard of it', async () => {
    const agent = await control.agent();
    const command = { name: 'log-level', level: 'debug', forMs: 5000 } as const;
    const done = control.hub.hosts.ask(idOf(agent), command, ACTOR);
    await asked(agent);
    const { id, deadline } = agent.last('command');
    expect(await events('command.asked', 'agent.log-level-set')).toMatchObject([
      {
        ...{ action: 'command.asked', actor: ACTOR, subject: `agent:${agent.id}` },
        detail: { command: id, name: 'log-level', level: 'debug', forMs: 5000, deadline },
      },
    ]);
    const value = { name: 'log-level', level: 'debug', until: 1 } as const;
    agent.send({ kind: 'result', id, outcome: { ok: true, value } });
    await done;
    const [, ended] = await events('command.asked', 'agent.log-level-set');
    expect(ended).toMatchObject({ detail: { command: id, outcome: 'done' } });
  });

  it('says that the link ended, where it did', async () => {
    const agent = await control.agent();
    const told = failure(control.hub.hosts.ask(idOf(agent), { name: 'drain' }, ACTOR));
    await asked(agent);
    const { id } = agent.last('command');
    await agent.cut();
    expect(await told).toContain('went away');
    expect(await events('agent.drained')).toMatchObject([
      { detail: { command: id, outcome: 'link-ended' } },
    ]);
  });

  it('says so of one that was under way when the control plane stopped, too', async () => {
    const agent = await control.agent();
    const told = failure(control.hub.hosts.ask(idOf(agent), { name: 'drain' }, ACTOR));
    await asked(agent);
    const { id } = agent.last('command');
    await control.hub.close();
    expect(await told).toContain('went away');
    expect(await events('command.asked', 'agent.drained')).toMatchObject([
      { action: 'command.asked', detail: { command: id } },
      { action: 'agent.drained', detail: { command: id, outcome: 'link-ended' } },
    ]);
  });

  it('says that nobody answered in time', async () => {
    const agent = await control.agent();
    const sent = control.hub.commands.send(idOf(agent), { name: 'diagnostics' }, 30, ACTOR);
    const end = await endOf(sent);
    const [{ detail }] = await events('command.asked');
    expect(recordedEnd(end)).toEqual({ command: detail.command, outcome: 'timed-out' });
    expect(agent.last('command')).toMatchObject({ id: detail.command, deadline: detail.deadline });
  });

  it('of one that is refused here has one entry: nothing was sent', async () => {
    const agent = await control.agent();
    const first = control.hub.hosts.ask(idOf(agent), { name: 'undrain' }, ACTOR);
    const second = failure(control.hub.hosts.ask(idOf(agent), { name: 'undrain' }, ACTOR));
    expect(await second).toContain('is running');
    await asked(agent);
    const outcome = { ok: true, value: { name: 'undrain' } } as const;
    agent.send({ kind: 'result', id: agent.last('command').id, outcome });
    await first;
    expect((await events('command.asked')).length).toBe(1);
    const ends = (await events('agent.undrained')).map(({ detail }) => detail.outcome);
    expect(ends).toEqual(['busy', 'done']);
  });

  it('is of rotations too, and of those that came to nothing', async () => {
    const agent = await control.agent();
    const told = failure(control.hub.agents.rotateKey(idOf(agent), ACTOR));
    await asked(agent);
    const { id } = agent.last('command');
    const outcome = { ok: false, code: 'failed', message: 'the disk is full' } as const;
    agent.send({ kind: 'result', id, outcome });
    expect(await told).toContain('the disk is full');
    expect(await events('command.asked', 'agent.key-rotation-asked')).toMatchObject([
      { actor: ACTOR, detail: { command: id, name: 'rotate-key' } },
      { actor: ACTOR, detail: { command: id, outcome: 'failed' } },
    ]);
  });

  it('comes first: what can not be recorded is not sent', async () => {
    const agent = await control.agent();
    const { commands } = control.hub;
    await control.store.close();
    const sent = failure(commands.send(idOf(agent), { name: 'drain' }, 5000, ACTOR));
    expect(await sent).toBe('the database is closed');
    // Its place is free again.
    const again = failure(commands.send(idOf(agent), { name: 'drain' }, 5000, ACTOR));
    expect(await again).toBe('the database is closed');
    expect(agent.received.some(({ kind }) => kind === 'command')).toBe(false);
    await agent.cut();
  });
});
