import { afterEach, expect, it, vi } from 'vitest';
import { MAX_GENERATION_STEP } from '../../../protocol/limits.ts';
import type { ReportMessage } from '../../../protocol/report.ts';
import { seal } from '../../../protocol/signing.ts';
import { newKey, signRoot } from '../../support/roots.ts';
import { AGENT } from '../link/control-end.ts';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-4 fast-forward: a generation too far ahead is refused, and a new root begins anew', async () => {
  host = await AttackedHost.start();
  const versions = { loans: host.good };
  await host.say({ generation: Number.MAX_SAFE_INTEGER, versions });
  expect((await host.event('desired-refused')).detail).toContain(`at most ${MAX_GENERATION_STEP}`);
  host.forget();
  await host.say({ generation: 2 + MAX_GENERATION_STEP, versions });
  await host.event('desired-refused');
  // The thief of the online key goes as far as is followed: the control plane's own documents are old now.
  await host.say({ generation: 1 + MAX_GENERATION_STEP, versions });
  await host.reports((report) => report.applied === 1 + MAX_GENERATION_STEP);
  host.forget();
  const next = await host.version('loans', 2);
  const release = await host.release(next);
  await host.say({ generation: 2, versions: { loans: next } }, [release]);
  expect((await host.event('desired-refused')).detail).toContain('is older than');
  // A root with another online key takes the stolen one out, and with it what it said.
  const online = await newKey();
  host.control.roots = [
    ...host.control.roots,
    await signRoot({ ...host.keys, online }, { version: 2 }),
  ];
  host.control.hangUp();
  await host.join(online);
  await host.say({ generation: 2, versions: { loans: next }, key: online }, [release]);
  await host.reports((report) => report.applied === 2);
  expect(await host.answering()).toBe(2);
  host.forget();
  await host.say({ generation: 9, versions });
  expect((await host.event('desired-refused')).detail).toMatch(/is no online key/);
});

it('ATTACK-4 fast-forward: leases are renewed again under the new root, though its generations are lower', async () => {
  host = await AttackedHost.start();
  const welcomedAt = performance.now();
  const controlNow = () => Math.floor(performance.now() - welcomedAt);
  const { model, version, manifest } = host.good;
  const lease = { durationMs: 2_000, afterwards: 'stop' as const };
  const arms = [{ arm: 'stable' as const, model, version, manifest, share: 1 }];
  const loans = { name: 'loans', windowMs: 60_000, serving: {}, monitoring: {}, lease, arms };
  const leased = () => ({ issuedAt: controlNow(), deployments: [loans] });
  const isIn = (state: string) => (report: ReportMessage) =>
    report.deployments[0]?.lease?.state === state;
  await host.say({ generation: 1 + MAX_GENERATION_STEP, versions: {}, change: leased() });
  await host.reports(isIn('held'));
  const online = await newKey();
  host.control.roots = [
    ...host.control.roots,
    await signRoot({ ...host.keys, online }, { version: 2 }),
  ];
  host.control.hangUp();
  await host.join(online, controlNow());
  await host.reports(isIn('stopped'));
  expect(await host.answering()).toBe(503);
  host.forget();
  await host.say({ generation: 2, versions: {}, change: leased(), key: online });
  await host.reports(isIn('held'));
  await host.reports(isIn('stopped'));
  host.forget();
  const renewal = { agent: AGENT, generation: 2, issuedAt: controlNow() };
  const payload = new TextEncoder().encode(JSON.stringify(renewal));
  host.control.say({ kind: 'lease', envelope: await seal(online, 'lease', payload) });
  await host.reports(isIn('held'));
  expect(await host.answering()).toBe(1);
});
