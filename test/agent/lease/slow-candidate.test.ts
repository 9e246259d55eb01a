import { afterEach, expect, it, vi } from 'vitest';
import { seal } from '../../../protocol/signing.ts';
import { AttackedHost } from '../attacks/attacked-host.ts';
import { AGENT } from '../link/control-end.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
let renewing: NodeJS.Timeout | undefined;
afterEach(async () => {
  clearInterval(renewing);
  await host.stop();
});

const LEASE_MS = 2_000;

it('LEASE-2: a candidate that is long in coming takes nothing from the stable version beside it', async () => {
  host = await AttackedHost.start();
  const welcomedAt = performance.now();
  const controlNow = () => Math.floor(performance.now() - welcomedAt);
  const next = await host.version('loans', 2);
  // Nothing comes, and no download breaks off: the host waits for it.
  host.onDownload = () => undefined;
  const { good } = host;
  const arms = [
    { arm: 'stable' as const, model: 'loans', version: 1, manifest: good.manifest, share: 0.5 },
    { arm: 'candidate' as const, model: 'loans', version: 2, manifest: next.manifest, share: 0.5 },
  ];
  const lease = { durationMs: LEASE_MS, afterwards: 'stop' as const };
  const loans = { name: 'loans', windowMs: 60_000, serving: {}, monitoring: {}, lease, arms };
  const change = { issuedAt: controlNow(), deployments: [loans] };
  await host.say({ generation: 2, versions: {}, change }, [await host.release(next)]);
  await host.reports((report) => report.observed === 2);
  const renew = async () => {
    const renewal = { agent: AGENT, generation: 2, issuedAt: controlNow() };
    const payload = new TextEncoder().encode(JSON.stringify(renewal));
    const envelope = await seal(host.keys.online, 'lease', payload);
    host.control.say({ kind: 'lease', envelope });
  };
  renewing = setInterval(() => void renew(), LEASE_MS / 8);
  await expect.poll(controlNow, { timeout: 10_000 }).toBeGreaterThan(1.5 * LEASE_MS);
  expect(await host.answering()).toBe(1);
  const lapsed = host.control.heard.filter(
    (message) => message.kind === 'event' && message.name === 'lease-lapsed',
  );
  expect(lapsed).toEqual([]);
});
