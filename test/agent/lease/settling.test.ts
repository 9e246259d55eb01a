import { afterEach, expect, it, vi } from 'vitest';
import { TestHost } from '../../support/convergence.ts';

/** Real engine processes start, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: TestHost;
afterEach(() => host.stop());

const lease = { durationMs: 600_000, afterwards: 'stop' } as const;
const HOUR_MS = 3_600_000;
const stable = (version: number) => [{ arm: 'stable' as const, version, share: 1 }];
const answering = async () => {
  const { status, body } = await host.test.infer('slow', 1);
  return status === 200 ? Number(/"model_version":"(\d+)"/.exec(body)?.[1]) : status;
};

it('LEASE-2: a version that has come has the lease of its document at once, and not with the next renewal', async () => {
  host = await TestHost.start();
  host.restraints.welcomed(0, 0);
  await host.want(stable(1), undefined, { lease });
  expect(await answering()).toBe(1);
  // An hour later, by what the control plane signs: while version 2 is being opened, 1 lives on its older lease.
  const coming = host.want(stable(2), undefined, { lease });
  const renewal = { agent: `agt_${'0'.repeat(24)}`, generation: 2, issuedAt: HOUR_MS };
  host.restraints.renewed(renewal, host.convergence.settled);
  expect(host.restraints.leaseOf('slow')?.state).toBe('stopped');
  await coming;
  expect(host.restraints.leaseOf('slow')?.state).toBe('held');
  expect(await answering()).toBe(2);
});
