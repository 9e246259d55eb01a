import { once } from 'node:events';
import { Agent, request } from 'node:http';
import { afterEach, expect, it, vi } from 'vitest';
import { DesiredStore } from '../../../agent/rollout/desired-store.ts';
import { Trips } from '../../../agent/rollout/trips.ts';
import type { DesiredArm } from '../../../protocol/desired.ts';
import type { Guard } from '../../../protocol/guard.ts';
import type { ReportMessage } from '../../../protocol/report.ts';
import { TestHost } from '../../support/convergence.ts';
import { until } from '../../support/stack.ts';
import { unaryRequest, writeUnaryModel } from '../../support/unary-model.ts';

/** Real processes start, and other tests want the same cores. */
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

let host: TestHost;
const connections = new Set<Agent>();
afterEach(async () => {
  for (const each of connections) each.destroy();
  connections.clear();
  await host.stop();
});

const GUARD: Guard = { maxNonFinite: 2 };
const ENGINES = 2;
/** From the answer that passes the threshold to the first by the last good version. */
const BOUND_MS = 50;

const start = async () => {
  host = await TestHost.start({ engines: ENGINES }, (folder) =>
    Promise.all([
      writeUnaryModel(folder, 'slow', 1, 'Abs'),
      writeUnaryModel(folder, 'slow', 2, 'Log'),
      writeUnaryModel(folder, 'slow', 3, 'Sqrt'),
    ]),
  );
};
const stable = (version: number, decidedAt = version) =>
  ({ arm: 'stable', version, share: 1, decidedAt }) as const;
const want = (
  arms: readonly Pick<DesiredArm, 'arm' | 'version' | 'share' | 'decidedAt'>[],
  guard: Guard = GUARD,
) => host.want(arms, undefined, { guard });

/** Always the same connection, and so the same engine. */
function connection(): (value: number) => Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  connections.add(agent);
  return async (value) => {
    const path = '/v2/models/slow/infer';
    const req = request({ port: host.test.port, method: 'POST', path, agent });
    req.end(unaryRequest([value], true));
    const [res] = await once(req, 'response');
    let text = '';
    for await (const chunk of res) text += chunk.toString('latin1');
    return res.statusCode === 200
      ? Number(/"model_version":"(\d+)"/.exec(text)?.[1])
      : res.statusCode;
  };
}

/** One of each engine: connections go to engines by turns. */
const ofEachEngine = () => Array.from({ length: ENGINES }, connection);

const states = (report: ReportMessage | null) =>
  report?.deployments[0].arms.map(({ version, state }) => `${version} ${state}`);
const tripped = () => until('a trip', async () => host.report?.trips?.at(-1) ?? null);

it(`GUARD-5: the next answer is the last good version's, and within ${BOUND_MS} ms each engine's`, async () => {
  await start();
  await want([stable(1)]);
  await want([stable(2)]);
  const [one, other] = ofEachEngine();
  expect([await one(2), await other(2)]).toEqual([2, 2]);
  for (let k = 0; k < 3; k += 1) expect(await one(-1)).toBe(2);
  const trippedAt = performance.now();
  expect(await one(-1)).toBe(1);
  const inThisEngineMs = performance.now() - trippedAt;
  while ((await other(2)) !== 1);
  const inTheOtherMs = performance.now() - trippedAt;
  process.stdout.write(
    `from the breaching answer: ${inThisEngineMs.toFixed(1)} ms in its engine, ${inTheOtherMs.toFixed(1)} ms in the other\n`,
  );
  expect(Math.max(inThisEngineMs, inTheOtherMs)).toBeLessThan(BOUND_MS);
  const trip = await tripped();
  expect(trip).toMatchObject({
    ...{ deployment: 'slow', version: 2, arm: 'stable', outcome: { kind: 'reverted', version: 1 } },
    breach: { threshold: 'non-finite', bad: 3, answers: 4, limit: 2 },
  });
  expect(trip.decision).toMatch(/^[0-9a-f]{12}\.[0-9a-z]+\.[0-9a-z]+\.[0-9a-z]+$/);
  await until('the report', async () =>
    states(host.report)?.join() === '2 refused,1 serving' ? true : null,
  );
});

it('GUARD-6: what was taken back is on the disk, and comes back by a newer decision alone', async () => {
  await start();
  await want([stable(1)]);
  await want([stable(2)]);
  const ask = connection();
  while ((await ask(-1)) === 2);
  await tripped();
  const stored = new Trips(host.test.folder);
  await stored.load();
  expect(stored.keys).toEqual(host.restraints.tripped);
  // The same again under a newer generation, as every half day; and another one's rollout beside it.
  await want([stable(2)]);
  await want([
    { ...stable(2), share: 0.5 },
    { arm: 'candidate', version: 3, share: 0.5, decidedAt: 9 },
  ]);
  for (const each of ofEachEngine()) expect(await each(2)).toBe(1);
  await want([stable(2, 7)]);
  for (const each of ofEachEngine()) expect(await each(2)).toBe(2);
  // The evidence stays for a control plane that has not heard it.
  expect(host.report?.trips).toHaveLength(1);
});

it('GUARD-7: a candidate that is taken back leaves its traffic to the stable version, and is a NACK', async () => {
  await start();
  await want([stable(1)]);
  await want([
    { ...stable(1), share: 0 },
    { arm: 'candidate', version: 2, share: 1, decidedAt: 5 },
  ]);
  const ask = connection();
  while ((await ask(-1)) === 2);
  expect((await tripped()).outcome).toEqual({ kind: 'reverted', version: 1 });
  await until('the report', async () =>
    states(host.report)?.join() === '1 serving,2 refused' ? true : null,
  );
  const [, refused] = host.report?.deployments[0].arms ?? [];
  expect(refused).toMatchObject({ code: 'guard-tripped' });
});

it('GUARD-4: with no version to go back to, a host goes on or answers 503, as its guard says', async () => {
  await start();
  await want([stable(2)], { ...GUARD, withoutLastGood: 'serve' });
  const ask = connection();
  for (let k = 0; k < 10; k += 1) expect(await ask(-1)).toBe(2);
  expect((await tripped()).outcome).toEqual({ kind: 'kept' });
  expect(states(host.report)).toEqual(['2 serving']);
  await want([stable(2, 3)], { ...GUARD, withoutLastGood: 'refuse' });
  while ((await ask(-1)) === 2);
  for (const each of ofEachEngine()) {
    await until('503', async () => ((await each(2)) === 503 ? true : null));
  }
  await until('the report', async () =>
    states(host.report)?.join() === '2 refused' ? true : null,
  );
  expect(host.report?.trips?.map(({ outcome }) => outcome.kind)).toEqual(['kept', 'refused']);
});

it.each([
  ['what somebody brought back since is a last good version again', true, 2],
  ['what was taken back is none, though its decision is over', false, undefined],
])('GUARD-6: %s', async (_, broughtBack, expected) => {
  await start();
  await want([stable(2)]);
  const ask = connection();
  for (let k = 0; k < 10; k += 1) await ask(-1);
  await tripped();
  if (broughtBack) await want([stable(2, 7)]);
  await want([stable(3, 8)]);
  const kept = await new DesiredStore(host.test.folder).loadFallbacks();
  expect(kept.get('slow')?.version).toBe(expected);
});
