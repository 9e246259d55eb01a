import { afterEach, beforeEach, expect, it } from 'vitest';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { GuardAlerts } from '../../../control-plane/link/guard-alerts.ts';
import { Reports } from '../../../control-plane/link/reports.ts';
import { allAgents, insertAgent } from '../../../control-plane/store/agents.ts';
import { allRefusals, latestReports } from '../../../control-plane/store/reports.ts';
import type { ReportedArm, ReportMessage } from '../../../protocol/report.ts';
import { ControlFixture } from '../../support/control-fixture.ts';

const HOSTS = 300;
const MANIFEST = `sha256:${'a'.repeat(64)}`;

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start({});
});
afterEach(() => control.stop());

const idOf = (host: number) => `agt_${String(host).padStart(24, '0')}`;

function reportOf(applied: number, arm: Partial<ReportedArm> = {}): ReportMessage {
  const arms = [
    { arm: 'stable', version: 1, manifest: MANIFEST, share: 1, state: 'serving', ...arm },
  ];
  const deployments = [{ name: 'loans', arms: arms as ReportedArm[] }];
  return { kind: 'report', observed: applied, applied, at: 1_000 + applied, deployments };
}

/** Counts how often the fleet is looked at; the database is the real one. */
async function reports(): Promise<{ desk: Reports; looks: { count: number } }> {
  await control.store.write(async (tx) => {
    for (let host = 0; host < HOSTS; host += 1) {
      const publicKey = new Uint8Array(32).fill(host % 256);
      new DataView(publicKey.buffer).setUint32(0, host);
      await insertAgent(
        tx,
        {
          ...{
            id: idOf(host),
            name: `host-${host}`,
            publicKey,
            labels: {},
            serving: null,
            protocol: 3,
          },
          capabilities: {
            runtime: 'node',
            runtimeVersion: '20',
            platform: 'x',
            cores: 1,
            engines: 1,
            providers: ['cpu'],
          },
          approvedAt: 1,
        },
        1,
      );
    }
  });
  const looks = { count: 0 };
  const look = () => {
    looks.count += 1;
  };
  const desk = new Reports({
    store: control.store,
    now: () => 5_000,
    roster: { note: () => undefined },
    driver: { onReport: look },
    fleet: { wake: () => undefined },
    guardAlerts: new GuardAlerts({
      store: control.store,
      now: () => 5_000,
      onFailure: (_, error) => {
        throw error;
      },
    }),
    onHostDrift: async () => undefined,
  });
  return { desk, looks };
}

it('takes the reports of a whole fleet in a few commits, and looks at rollouts as often', async () => {
  const { desk, looks } = await reports();
  const commits = control.store.commits;
  await Promise.all(
    Array.from({ length: HOSTS }, (_, host) => desk.take(idOf(host), reportOf(host + 1))),
  );
  expect(control.store.commits - commits).toBeLessThan(10);
  expect(looks.count).toBeLessThan(10);
  const applied = (await allAgents(control.store.read)).map((row) => row.appliedGeneration);
  expect(applied.filter((generation) => generation > 0).sort((a, b) => a - b)).toEqual(
    Array.from({ length: HOSTS }, (_, host) => host + 1),
  );
  expect((await latestReports(control.store.read)).size).toBe(HOSTS);
});

it('takes a fleet that says two things in a row in a few commits, and one host that says much holds up nobody', async () => {
  const { desk } = await reports();
  const commits = control.store.commits;
  const begun = performance.now();
  const all = Array.from({ length: HOSTS }, (_, host) => [
    desk.take(idOf(host), reportOf(1)),
    desk.take(idOf(host), reportOf(2)),
  ]);
  await Promise.all(all.flat());
  expect(control.store.commits - commits).toBeLessThan(10);
  const much = Array.from({ length: 100 }, (_, at) => desk.take(idOf(0), reportOf(3 + at)));
  const before = control.store.commits;
  await desk.take(idOf(1), reportOf(3));
  expect(control.store.commits - before).toBeLessThan(5);
  await Promise.all(much);
  expect(performance.now() - begun).toBeLessThan(20_000);
  const applied = (await allAgents(control.store.read)).map((row) => row.appliedGeneration);
  expect(applied.sort((a, b) => b - a).slice(0, 3)).toEqual([102, 3, 2]);
});

it('keeps the order of one host, and each refusal that any of its reports held', async () => {
  const { desk } = await reports();
  const refused = { state: 'refused', code: 'golden-mismatch', detail: 'no' } as const;
  await Promise.all([
    desk.take(idOf(0), reportOf(1)),
    desk.take(idOf(1), reportOf(1, refused)),
    desk.take(idOf(1), reportOf(2)),
    desk.take(idOf(1), reportOf(3)),
  ]);
  const [row] = (await allAgents(control.store.read)).filter(({ id }) => id === idOf(1));
  expect(row).toMatchObject({ appliedGeneration: 3, observedGeneration: 3, appliedAt: 5_000 });
  expect(await allRefusals(control.store.read)).toMatchObject([
    { agentId: idOf(1), manifest: MANIFEST },
  ]);
  const events = await eventsAfter(control.store.read, 0, 100);
  expect(events.filter(({ action }) => action === 'agent.refused-version')).toHaveLength(1);
});

it('rejects all reports of a commit that failed, and takes the next ones', async () => {
  const { desk } = await reports();
  const broken = reportOf(1);
  Object.assign(broken.deployments[0], { name: null });
  await expect(desk.take(idOf(0), broken)).rejects.toThrow();
  await desk.take(idOf(0), reportOf(2));
  expect((await latestReports(control.store.read)).size).toBe(1);
});
