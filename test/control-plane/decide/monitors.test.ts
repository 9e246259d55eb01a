import { eq } from 'drizzle-orm';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { findAlert, listAlerts } from '../../../control-plane/store/alerts.ts';
import { updateDeployment } from '../../../control-plane/store/deployments.ts';
import { driftStreamsOf } from '../../../control-plane/store/drift-streams.ts';
import { agents } from '../../../control-plane/store/schema.ts';
import { emptyOutcome, type OutcomeGrid } from '../../../protocol/sketch/outcome.ts';
import { OutcomeCells } from '../../../protocol/sketch/outcome-count.ts';
import { emptyWindow } from '../../../protocol/sketch/window.ts';
import { ControlFixture, WINDOW_MS } from '../../support/control-fixture.ts';
import type { LinkAgent } from '../../support/link-agent.ts';
import { GRIDS, seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

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
const stream = async (key: string) => {
  const { streams } = await control.hub.monitoring.drift('loans');
  return streams.find((one) => one.stream === key);
};
const judgedUntil = async () => {
  const rows = await driftStreamsOf(control.store.read, 'loans', control.manifests[0]);
  const own = rows.find((row) => row.stream === 'monitor')?.state;
  return (own as { judgedUntilMs: number } | undefined)?.judgedUntilMs;
};
const alerts = async () => (await listAlerts(control.store.read, {}, null, 100)).items;
const actions = async () =>
  (await eventsAfter(control.store.read, 0, 1000)).map(({ action }) => action);

/** Labels of 60 rows, `wrong` of them. */
function labelWindow(wrong: number) {
  const grid: OutcomeGrid = { kind: 'binary', axes: [], scoreBins: 64, classes: [] };
  const cells = new OutcomeCells(grid);
  const outcome = emptyOutcome(grid);
  for (let row = 0; row < 60; row += 1) {
    cells.countLabel(outcome, [], 0.9, true, row < wrong ? 0 : 1);
  }
  return { ...emptyWindow(GRIDS), outcome };
}

describe('what can not be merged', () => {
  it('is counted by reason and shown, and nothing that was merged before changes', async () => {
    const agent = await control.agent();
    const window = syntheticWindow(seeded(1), { rows: 5 });
    agent.window(place(0), window);
    agent.window(place(0, { windowStartMs: Date.now() + 600_000 }), window);
    agent.window(place(1, { manifest: `sha256:${'e'.repeat(64)}` }), window);
    const other = { ...emptyWindow({ ...GRIDS, features: [] }), rows: 5, requests: 5 };
    agent.window(place(2), other);
    await agent.acked();
    const revoked = { revokedAt: 7 };
    await control.store.write((tx) =>
      tx
        .update(agents)
        .set(revoked)
        .where(eq(agents.id, agent.id ?? '')),
    );
    agent.window(place(3), window);
    agent.window(place(4), window);
    await agent.acked();
    const { refused } = await control.hub.monitoring.drift('loans');
    expect(Object.fromEntries(refused.map((one) => [one.reason, one.windows]))).toEqual({
      'from-the-future': 1,
      'unknown-version': 1,
      'other-reference': 1,
      'agent-revoked': 2,
    });
    expect(refused.find(({ reason }) => reason === 'from-the-future')?.detail).toContain('clock');
    const { totals } = await control.hub.monitoring.windows('loans', 0, Number.MAX_SAFE_INTEGER);
    expect(totals).toEqual({ windows: 1, requests: 5, rows: 5, errors: 0 });
  });
});

describe('labels', () => {
  it('that come late are judged when they come, and are no step of the traffic', async () => {
    let now = Date.now();
    await control.stop();
    control = await ControlFixture.start({ now: () => now });
    const agent = await control.agent();
    agent.window(place(50), syntheticWindow(seeded(1), { rows: 300 }));
    await agent.acked();
    await expect.poll(async () => (await stream('feature:x'))?.verdict).toBe('ok');
    const before = await stream('feature:x');
    for (let at = 0; at < 12; at += 1) {
      now += WINDOW_MS;
      agent.window(place(at), labelWindow(at < 6 ? 6 : 50));
      await agent.acked();
    }
    await expect.poll(async () => (await stream('label-errors'))?.verdict).toBe('alert');
    expect(await stream('feature:x')).toEqual(before);
    expect((await alerts()).map(({ kind }) => kind)).toEqual(['concept-drift']);
  });

  it('EVENT-2: on which a host’s own detector fires open an alert too; its e-detector is ours already', async () => {
    const agent = await control.agent();
    agent.window(place(0), syntheticWindow(seeded(1), { rows: 300 }));
    await agent.acked();
    const told = (
      detector: string,
      manifest = `manifest=${control.manifests[0]}`,
      arm = 'stable',
    ) =>
      agent.send({
        kind: 'event',
        at: Date.now(),
        name: 'concept-drift',
        detail: `deployment=loans ${manifest} arm=${arm} detector=${detector} n=4`,
      });
    told('e-detector');
    told('ddm', '');
    told('ddm', `manifest=${control.manifests[0]}`, 'candidate');
    told('magic');
    told('adwin');
    await expect.poll(async () => (await alerts()).length).toBe(1);
    expect((await alerts())[0]).toMatchObject({
      kind: 'concept-drift',
      detail: { severity: 'low', detector: 'adwin', streams: [{ agent: agent.id }] },
    });
  });
});

describe('alerts', () => {
  it('grow in severity as the effect does, in one and the same alert', async () => {
    const agent = await control.agent();
    const random = seeded(2);
    const send = async (at: number, inputShift: number) => {
      agent.window(place(at), syntheticWindow(random, { rows: 2_000, inputShift }));
      await agent.acked();
    };
    const severity = async () =>
      (await alerts()).find(({ kind }) => kind === 'input-drift')?.detail.severity ?? null;
    for (let at = 0; at < 3; at += 1) await send(at, 0.25);
    await expect.poll(severity).toBe('low');
    const opened = (await alerts()).find(({ kind }) => kind === 'input-drift');
    if (opened === undefined) throw new Error('an alert was open');
    for (let at = 3; at < 5; at += 1) await send(at, 1.5);
    await expect.poll(severity).toBe('critical');
    expect((await findAlert(control.store.read, opened.id))?.resolvedAt).toBeNull();
    expect((await actions()).filter((action) => action === 'alert.escalated').length).toBe(2);
    const { streams } = opened.detail as { streams: { stream: string; effect: number }[] };
    expect(streams.find((one) => one.stream === 'feature:x')?.effect).toBeGreaterThan(1);
  });

  it('are not opened when only the mix of hosts has changed', async () => {
    const usual = await control.agent();
    const odd = await control.agent();
    const random = seeded(3);
    const send = async (at: number, rows: { usual: number; odd: number }) => {
      usual.window(place(at), syntheticWindow(random, { rows: rows.usual }));
      await usual.acked();
      odd.window(place(at), syntheticWindow(random, { rows: rows.odd, inputShift: 1.5 }));
      await odd.acked();
    };
    for (let at = 0; at < 20; at += 1) await send(at, { usual: 8_000, odd: 800 });
    expect(await alerts()).toEqual([]);
    for (let at = 20; at < 26; at += 1) await send(at, { usual: 8_000, odd: 8_000 });
    await expect.poll(actions).toContain('alert.withheld');
    await expect.poll(async () => (await stream('feature:x'))?.verdict).toBe('alert');
    expect(await alerts()).toEqual([]);
    // Nor later, when the new mix is all that the last hour knows.
    for (let at = 26; at < 46; at += 1) await send(at, { usual: 8_000, odd: 8_000 });
    const judged = START + 46 * WINDOW_MS;
    await expect.poll(() => judgedUntil()).toBe(judged);
    expect(await alerts()).toEqual([]);
  });

  it('of a version that was left end, even unseen, and are not there when it comes back', async () => {
    const send = async (agent: LinkAgent, at: number, version: 1 | 2, inputShift: number) => {
      const window = syntheticWindow(seeded(at), { rows: 2_000, inputShift });
      agent.window(place(at, { manifest: control.manifests[version - 1] }), window);
      await agent.acked();
    };
    const serve = (version: number) =>
      control.store.write((tx) => updateDeployment(tx, 'loans', { version, updatedAt: version }));
    const open = async () => (await alerts()).filter(({ resolvedAt }) => resolvedAt === null);
    let agent = await control.agent();
    for (let at = 0; at < 3; at += 1) await send(agent, at, 1, 1);
    await expect.poll(async () => (await open()).length).toBeGreaterThan(0);
    await serve(2);
    await control.restart();
    agent = await control.agent();
    await send(agent, 3, 2, 0);
    await expect.poll(open).toEqual([]);
    const before = (await alerts()).length;
    await serve(1);
    await send(agent, 4, 1, 0);
    await expect.poll(judgedUntil).toBe(START + 5 * WINDOW_MS);
    expect((await alerts()).length).toBe(before);
  });
});
