import { EventEmitter, once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { MAX_UNCOMMITTED } from '../../../control-plane/link/session.ts';
import { Ingest } from '../../../control-plane/merge/ingest.ts';
import { insertDeployment, updateDeployment } from '../../../control-plane/store/deployments.ts';
import { cursorOf } from '../../../control-plane/store/telemetry.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';
import { seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start();
});
afterEach(() => control.stop());

const START = 1_000_000;
const place = (at: number, change = {}) => ({
  deployment: 'loans',
  manifest: control.manifests[0],
  arm: 'stable' as const,
  windowStartMs: START + at * WINDOW_MS,
  windowMs: WINDOW_MS,
  ...change,
});
const totals = async () =>
  (await control.hub.monitoring.windows('loans', 0, Number.MAX_SAFE_INTEGER)).totals;

function sendMany(agent: LinkAgent, random: () => number, from: number, count: number): number {
  let rows = 0;
  for (let at = from; at < from + count; at += 1) {
    agent.window(place(at), syntheticWindow(random, { rows: 1 + (at % 7) }));
    rows += 1 + (at % 7);
  }
  return rows;
}

describe('telemetry', () => {
  it('TELEM-2: is counted exactly once although every host sends everything three times', async () => {
    const agents = [await control.agent(), await control.agent(), await control.agent()];
    let rows = 0;
    for (const [seed, agent] of agents.entries()) {
      rows += sendMany(agent, seeded(seed), 0, 40);
      agent.resend();
      agent.resend();
    }
    for (const agent of agents) await agent.until(() => agent.acknowledged === 120);
    expect(await totals()).toEqual({ windows: 120, requests: rows, rows, errors: 0 });
  });

  it('is exact over restarts of the control plane, whatever had been acknowledged by then', async () => {
    const agent = await control.agent();
    const random = seeded(5);
    let rows = 0;
    for (let round = 0; round < 4; round += 1) {
      rows += sendMany(agent, random, round * 30, 30);
      // Some rounds are cut while their windows are on the way.
      if (round % 2 === 0) await agent.until(() => agent.outbox.length < 20);
      await control.restart();
      await agent.join(control.url, null);
      agent.resend();
      await agent.acked();
    }
    expect(await totals()).toEqual({ windows: 120, requests: rows, rows, errors: 0 });
  });

  it('takes a burst larger than what may wait, and acknowledges all of it', async () => {
    const agent = await control.agent();
    const rows = sendMany(agent, seeded(4), 0, 3 * MAX_UNCOMMITTED);
    await agent.acked();
    expect(await totals()).toMatchObject({ windows: 3 * MAX_UNCOMMITTED, rows });
  });

  it('counts a new boot of a host from its first window', async () => {
    const agent = await control.agent();
    agent.window(place(0), syntheticWindow(seeded(1), { rows: 3 }));
    await agent.acked();
    agent.boot = 'f'.repeat(16);
    const body = agent.window(place(0), syntheticWindow(seeded(2), { rows: 4 }));
    agent.send({ ...body, sequence: 1, boot: 'e'.repeat(16) });
    await agent.until(() => agent.acknowledged === 3);
    expect(await totals()).toMatchObject({ windows: 3, rows: 11 });
    const { windows } = await control.hub.monitoring.windows('loans', 0, START + 1);
    expect(windows).toEqual([
      {
        windowStartMs: START,
        windowMs: WINDOW_MS,
        arm: 'stable',
        version: 1,
        manifest: control.manifests[0],
        agents: 1,
        requests: 11,
        rows: 11,
        errors: 0,
      },
    ]);
  });

  it('TELEM-20: on a network that repeats frames is counted once, and after a lost one is sent again', async () => {
    const agent = await control.agent();
    const window = syntheticWindow(seeded(3), { rows: 5 });
    const [first, second, third] = [1, 2, 3].map((at) => {
      const from = { boot: agent.boot, sequence: at, clockAheadMs: null, windows: 1, nth: at };
      return { kind: 'telemetry' as const, ...from, ...place(at), body: encodeWindow(window) };
    });
    agent.send(first);
    agent.send(first);
    await agent.until(() => agent.acknowledged === 1);
    agent.send(third);
    await agent.until(() => agent.closed !== null);
    expect(agent.closed).toMatchObject({ reason: 'out-of-order' });
    await agent.join(control.url, null);
    agent.send({ ...second, nth: 1 });
    agent.send({ ...third, nth: 2 });
    await agent.until(() => agent.acknowledged === 3);
    expect(await totals()).toMatchObject({ windows: 3, rows: 15 });
  });

  it('TELEM-7: acknowledges what can never be merged, counts none of it and merges the rest', async () => {
    const agent = await control.agent();
    const window = syntheticWindow(seeded(3), { rows: 5 });
    agent.window(place(0), window);
    agent.window(place(1, { manifest: `sha256:${'f'.repeat(64)}` }), window);
    agent.window(place(2, { deployment: 'unknown' }), window);
    const broken = agent.window(place(3), window);
    const body = broken.body.slice();
    body[9] ^= 1;
    agent.send({ ...broken, sequence: broken.sequence + 1, body });
    await agent.until(() => agent.acknowledged === 5);
    expect(await totals()).toMatchObject({ windows: 2, rows: 10 });
    expect(agent.closed).toBeNull();
  });
});

it('TELEM-8: a window of a deployment that a host was never asked to serve is not merged', async () => {
  const agent = await control.agent();
  await control.store.write((tx) =>
    insertDeployment(tx, {
      ...{ name: 'vault', model: 'mortgage', version: 1, selector: { site: 'vault' } },
      ...{ windowMs: WINDOW_MS, createdAt: 0, updatedAt: 0 },
    }),
  );
  const window = () => syntheticWindow(seeded(1), { rows: 5 });
  agent.window(place(0, { deployment: 'vault' }), window());
  agent.window(place(1), window());
  await agent.acked();
  expect((await control.hub.monitoring.windows('vault', 0, 1e15)).totals.windows).toBe(0);
  expect((await control.hub.monitoring.drift('vault')).refused).toMatchObject([
    { agentId: agent.id, reason: 'not-assigned', windows: 1 },
  ]);
  expect(await totals()).toMatchObject({ windows: 1 });
  // What an earlier document named may come late.
  await control.store.write((tx) =>
    updateDeployment(tx, 'loans', { selector: { site: 'vault' }, updatedAt: 1 }),
  );
  await control.hub.fleet.reconcile('test');
  await agent.until(() => agent.arms('loans') === null);
  agent.window(place(2), window());
  await agent.acked();
  expect(await totals()).toMatchObject({ windows: 2 });
});

describe('a group that the database did not take', () => {
  it('takes what waits behind it of the same boot with it, so that nothing overtakes a lost window', async () => {
    const agentId = `agt_${'1'.repeat(24)}`;
    const lookUp = new EventEmitter();
    let lookUps = 0;
    const ingest = new Ingest({
      store: control.store,
      shapeOf: () => {
        lookUps += 1;
        if (lookUps > 1) return Promise.resolve(null);
        lookUp.emit('begun');
        return once(lookUp, 'end').then(() => null);
      },
      now: () => START,
      onMerged: () => undefined,
      onRefused: () => undefined,
    });
    const boot = 'c'.repeat(16);
    const body = new Uint8Array();
    const add = (sequence: number) =>
      ingest.add({ agentId, boot, sequence, ...place(sequence), windows: 1, body });
    const begun = once(lookUp, 'begun');
    const first = add(1);
    await begun;
    const second = add(2);
    // `once` rejects on an emitted error.
    lookUp.emit('error', new Error('disk I/O error'));
    const outcomes = await Promise.allSettled([first, second]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    expect(await cursorOf(control.store.read, agentId, boot)).toBe(0);
    await Promise.all([add(1), add(2)]);
    expect(await cursorOf(control.store.read, agentId, boot)).toBe(2);
  });

  it('is not a window whose counts overflow: that one is refused, its neighbours are merged', async () => {
    const agent = await control.agent();
    const huge = syntheticWindow(seeded(1), { rows: 1 });
    huge.requests = Number.MAX_SAFE_INTEGER;
    agent.window(place(0), huge);
    agent.window(place(0), huge);
    agent.window(place(1), syntheticWindow(seeded(2), { rows: 3 }));
    await agent.acked();
    expect((await totals()).windows).toBe(2);
  });
});

describe('drift', () => {
  it('is insufficient, then ok, then an alert with evidence, then resolved', async () => {
    const agent = await control.agent();
    const random = seeded(9);
    const verdict = async () => (await control.hub.monitoring.drift('loans')).verdict;
    const send = async (at: number, rows: number, inputShift: number) => {
      agent.window(place(at), syntheticWindow(random, { rows, inputShift }));
      await agent.acked();
    };
    expect(await verdict()).toBe('insufficient');
    await send(0, 300, 0);
    await expect.poll(verdict).toBe('ok');
    for (let at = 1; at <= 3; at += 1) await send(at, 300, 1.5);
    await expect.poll(verdict).toBe('alert');
    const { streams } = await control.hub.monitoring.drift('loans');
    const x = streams.find((stream) => stream.stream === 'feature:x');
    expect(x).toMatchObject({ name: 'x', verdict: 'alert', rows: 300 });
    expect(x?.debiasedPsi).toBeGreaterThan(0.1);

    await control.restart();
    expect(await verdict()).toBe('alert');
    await agent.join(control.url, null);
    for (let at = 4; at <= 7; at += 1) await send(at, 3_000, 0);
    await expect.poll(verdict).toBe('ok');
  });
});
