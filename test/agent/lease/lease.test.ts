import { afterEach, expect, it, vi } from 'vitest';
import { sealDesired } from '../../../control-plane/rollout/sign-batch.ts';
import type { DesiredState } from '../../../protocol/desired.ts';
import type { Lease, ReportedLease } from '../../../protocol/lease.ts';
import type { ReportMessage } from '../../../protocol/report.ts';
import { type SigningKey, seal } from '../../../protocol/signing.ts';
import { newKeys } from '../../support/roots.ts';
import { AttackedHost } from '../attacks/attacked-host.ts';
import { AGENT } from '../link/control-end.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

const LEASE_MS = 2_000;
/** Others want the same cores while the report is on its way. */
const SLACK_MS = 1_500;
/** At this control plane it is 1970, and its host has just been welcomed. */
let welcomedAt = 0;
const controlNow = () => Math.floor(performance.now() - welcomedAt);

async function start(): Promise<void> {
  host = await AttackedHost.start();
  welcomedAt = performance.now();
}

function deployments(afterwards: Lease['afterwards']): Pick<DesiredState, 'deployments'> {
  const { model, version, manifest } = host.good;
  const lease = { durationMs: LEASE_MS, afterwards };
  const arms = [{ arm: 'stable' as const, model, version, manifest, share: 1 }];
  const loans = { name: 'loans', windowMs: 60_000, serving: {}, monitoring: {}, lease, arms };
  return { deployments: [loans] };
}

const say = (generation: number, afterwards: Lease['afterwards'], issuedAt = controlNow()) =>
  host.say({ generation, versions: {}, change: { issuedAt, ...deployments(afterwards) } });

async function renew(
  change: { agent?: string; generation?: number; issuedAt?: number } = {},
  key: SigningKey = host.keys.online,
): Promise<void> {
  const renewal = { agent: AGENT, generation: 2, issuedAt: controlNow(), ...change };
  const payload = new TextEncoder().encode(JSON.stringify(renewal));
  host.control.say({ kind: 'lease', envelope: await seal(key, 'lease', payload) });
}

const leaseIn = (state: ReportedLease['state']) => (report: ReportMessage) =>
  report.deployments[0]?.lease?.state === state;

it('LEASE-4: a host that is cut off answers 503 by the end of its lease, and again once it is renewed', async () => {
  await start();
  await say(2, 'stop');
  await host.reports(leaseIn('held'));
  const cutAt = controlNow();
  expect(await host.answering()).toBe(1);
  host.forget();
  const stopped = await host.reports(leaseIn('stopped'));
  expect(controlNow()).toBeLessThan(cutAt + LEASE_MS + SLACK_MS);
  expect(stopped.deployments[0].lease?.lapsedAt).toBeLessThanOrEqual(cutAt + LEASE_MS);
  expect((await host.event('lease-lapsed')).detail).toMatch(/deployment=loans.*answers 503/);
  expect(await host.answering()).toBe(503);
  expect(await ask('/v2/models/loans/ready')).toMatch(/^503 .*"lease_lapsed"/);
  expect(await ask('/v2/health/live')).toMatch(/^200/);

  // Nobody but the control plane itself, now and for this host and document, opens it again.
  const strangers = await newKeys();
  await renew({}, strangers.online);
  await renew({ agent: `agt_${'d'.repeat(24)}` });
  await renew({ generation: 1 });
  await renew({ issuedAt: controlNow() - LEASE_MS });
  const [document] = await sealDesired(host.keys.online, [new TextEncoder().encode('{}')]);
  host.control.say({ kind: 'lease', envelope: document });
  // Documents and renewals are looked at in the order in which they come.
  await say(1, 'serve');
  await host.event('desired-refused');
  expect(await host.answering()).toBe(503);
  host.forget();
  await renew();
  await host.reports(leaseIn('held'));
  expect(await host.answering()).toBe(1);
});

it('LEASE-2: what only runs because the wanted version has not come lives on its older lease, though linked', async () => {
  await start();
  await say(2, 'stop');
  await host.reports(leaseIn('held'));
  const next = await host.version('loans', 2);
  host.onDownload = (_, response) => response.writeHead(503).end();
  const wanted = deployments('stop').deployments[0];
  const arms = [{ ...wanted.arms[0], version: 2, manifest: next.manifest }];
  const change = { issuedAt: controlNow(), deployments: [{ ...wanted, arms }] };
  await host.say({ generation: 3, versions: {}, change }, [await host.release(next)]);
  await host.reports((report) => report.observed === 3);
  const renewing = setInterval(() => void renew({ generation: 3 }), LEASE_MS / 8);
  host.forget();
  await host.reports(leaseIn('stopped'));
  expect(await host.answering()).toBe(503);
  host.forget();
  host.onDownload = null;
  await host.reports(leaseIn('held'));
  clearInterval(renewing);
  expect(await host.answering()).toBe(2);
});

it('LEASE-5: by policy it serves on without a lease, and says so until it has one', async () => {
  await start();
  await say(2, 'serve');
  await host.reports(leaseIn('held'));
  const lapsed = await host.reports(leaseIn('lapsed'));
  expect(lapsed.deployments[0].lease?.lapsedAt).toBeGreaterThan(0);
  expect((await host.event('lease-lapsed')).detail).toMatch(/it goes on/);
  expect(await host.answering()).toBe(1);
  host.forget();
  await renew();
  const again = await host.reports(leaseIn('held'));
  expect(again.deployments[0].lease?.lapsedAt).toBe(lapsed.deployments[0].lease?.lapsedAt);
});

it('LEASE-3: a restart without the control plane gives no new lease', async () => {
  await start();
  await say(2, 'stop');
  await host.reports(leaseIn('stopped'));
  await host.halt();
  await host.boot();
  expect(await host.answering()).toBe(503);
  // Linked again, and told nothing but the time: the lease is still over.
  host.forget();
  await host.join(host.keys.online, controlNow());
  await host.reports(leaseIn('stopped'));
  expect(await host.answering()).toBe(503);
});

async function ask(path: string): Promise<string> {
  const response = await fetch(`${host.url}${path}`, { headers: { connection: 'close' } });
  return `${response.status} ${await response.text()}`;
}
