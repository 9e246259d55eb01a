import { afterEach, expect, it, vi } from 'vitest';
import { sealDesired } from '../../../control-plane/rollout/sign-batch.ts';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-6 mix-and-match: parts of what was signed at different times make nothing that holds', async () => {
  host = await AttackedHost.start();
  const [second, other] = [await host.version('loans', 2), await host.version('cards', 7)];
  const releases = [await host.release(second), await host.release(other)];
  // The payload of one document with the signature of another, alone and out of batches.
  const one = host.document({ generation: 2, versions: { loans: second } });
  const two = host.document({ generation: 3, versions: { loans: other } });
  const [a, b] = await sealDesired(host.keys.online, [one, two]);
  const [plain] = await sealDesired(host.keys.online, [one]);
  const mixed = [
    { ...a, payload: b.payload },
    { ...a, inclusion: b.inclusion },
    { ...plain, payload: two },
    { ...plain, inclusion: a.inclusion },
    { ...a, inclusion: undefined },
  ];
  for (const envelope of mixed) {
    host.forget();
    host.control.say({ kind: 'desired', envelope, releases });
    expect((await host.event('desired-refused')).detail).toContain('did not sign it');
  }
  expect([await host.answering(), host.asked]).toEqual([1, []]);
  // Manifest of one model, name or number of another: a release is of both or of neither.
  for (const [at, version] of [
    { ...other, model: 'loans' },
    { ...second, version: 3 },
  ].entries()) {
    host.forget();
    await host.say({ generation: 4 + at, versions: { loans: version } }, releases);
    const { deployments } = await host.reports((report) => report.applied === 4 + at);
    expect(deployments[0].arms[0]).toMatchObject({ state: 'refused', code: 'not-released' });
    expect([await host.answering(), host.asked]).toEqual([1, []]);
  }
  host.control.say({ kind: 'desired', envelope: a, releases });
});
