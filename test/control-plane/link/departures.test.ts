import { afterEach, beforeEach, expect, it } from 'vitest';
import { Departures } from '../../../control-plane/link/departures.ts';
import { findAgent } from '../../../control-plane/store/agents.ts';
import type { Store } from '../../../control-plane/store/database.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import { LinkAgent } from '../../support/link-agent.ts';

const DAY_MS = 86_400_000;
const HOUR_MS = 3_600_000;

let control: ControlFixture;
/** What the clock of the control plane is ahead of this test's. */
let aheadMs: number;

beforeEach(async () => {
  aheadMs = 0;
  control = await ControlFixture.start({ now: () => Date.now() + aheadMs });
});
afterEach(() => control.stop());

async function seen({ id }: LinkAgent): Promise<number> {
  const row = await findAgent(control.store.read, id ?? '');
  if (row === null) throw new Error(`no agent ${id}`);
  return row.lastSeenAt;
}

/** A host that is linked and whose report has been taken: from here on it has nothing to say. */
async function linked(): Promise<LinkAgent> {
  const agent = await control.agent();
  await control.hub.fleet.confirmations('loans', agent.desired?.generation ?? 0, 10_000);
  return agent;
}

async function nextCommit(since: number): Promise<void> {
  await control.store.nextCommit(since, 10_000, new AbortController().signal);
}

it('a host with nothing to report for a day is away since its link ended, and not for a day', async () => {
  const agent = await linked();
  const before = await seen(agent);
  aheadMs = DAY_MS;
  const commits = control.store.commits;
  await agent.cut();
  await nextCommit(commits);
  const awayMs = Date.now() + aheadMs - (await seen(agent));
  expect(awayMs).toBeGreaterThanOrEqual(0);
  expect(awayMs).toBeLessThan(10_000);
  expect((await seen(agent)) - before).toBeGreaterThanOrEqual(DAY_MS);
});

it('a clock that was set back makes no host seem away for longer than it is', async () => {
  const agent = await linked();
  const before = await seen(agent);
  aheadMs = -HOUR_MS;
  const commits = control.store.commits;
  await agent.cut();
  await nextCommit(commits);
  expect(await seen(agent)).toBe(before);
});

it('hosts that lose their links together are written by one statement', async () => {
  const agents: LinkAgent[] = [];
  for (let at = 0; at < 40; at += 1) agents.push(await linked());
  let writes = 0;
  const write: Store['write'] = (work) => {
    writes += 1;
    return control.store.write(work);
  };
  const onFailure = (_: string, error: unknown) => {
    throw error;
  };
  const departures = new Departures({
    store: { write },
    now: () => Date.now() + DAY_MS,
    onFailure,
  });
  const leftAt = Date.now() + DAY_MS;
  for (const { id } of agents) departures.note(id ?? '');
  await departures.close();
  expect(writes).toBe(1);
  for (const agent of agents) expect(await seen(agent)).toBeGreaterThanOrEqual(leftAt);
});

it('a control plane that stops writes down when, for all that are linked, in one commit', async () => {
  const agents = [await linked(), await linked(), await linked()];
  aheadMs = DAY_MS;
  const stoppedAt = Date.now() + DAY_MS;
  const commits = control.store.commits;
  await control.hub.close();
  expect(control.store.commits - commits).toBe(1);
  for (const agent of agents) expect(await seen(agent)).toBeGreaterThanOrEqual(stoppedAt);
});

it('of a host that waits for approval it is known too', async () => {
  await control.stop();
  const admission = { requireApproval: true, minProtocol: 1 };
  control = await ControlFixture.start({ admission, now: () => Date.now() + aheadMs });
  const agent = await LinkAgent.create();
  const challenge = await agent.open(control.url);
  const join = { token: await control.token(), name: 'edge', labels: {} };
  agent.send(await agent.hello(challenge, { join }));
  await agent.until(() => agent.id !== null);
  aheadMs = DAY_MS;
  const leftAt = Date.now() + DAY_MS;
  const commits = control.store.commits;
  await agent.cut();
  await nextCommit(commits);
  expect(await seen(agent)).toBeGreaterThanOrEqual(leftAt);
});
