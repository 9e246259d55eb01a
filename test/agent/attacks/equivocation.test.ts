import { afterEach, expect, it, vi } from 'vitest';
import { AttackedHost } from './attacked-host.ts';

/** A real engine process starts, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: AttackedHost;
afterEach(() => host.stop());

it('ATTACK-10 equivocation: of two documents of one generation the second is refused, kept and reported', async () => {
  host = await AttackedHost.start();
  const next = await host.version('loans', 2);
  const release = await host.release(next);
  await host.say({ generation: 1, versions: { loans: next } }, [release]);
  const { detail } = await host.event('equivocation');
  expect(detail).toContain('two documents of generation 1');
  expect(await host.files('equivocation')).toEqual(['evidence/equivocation-1.bin']);
  expect([await host.answering(), host.asked]).toEqual([1, []]);
  // Whoever can make one can make many: the evidence is bounded, and the agent goes on.
  for (let k = 0; k < 3; k += 1) {
    host.forget();
    const change = { issuedAt: k + 1 };
    await host.say({ generation: 1, versions: { loans: next }, change }, [release]);
    await host.event('equivocation');
  }
  expect(await host.files('equivocation')).toHaveLength(1);
  await host.say({ generation: 2, versions: { loans: next } }, [release]);
  await host.reports((report) => report.applied === 2);
  expect(await host.answering()).toBe(2);
});
