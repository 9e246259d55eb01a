import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DeploymentHost } from '../../control-plane/http/deployment-hosts.ts';
import { CuttableLine } from '../support/cuttable-line.ts';
import { type AgentHandle, Stack, until } from '../support/stack.ts';
import { unaryRequest, writeUnaryModel } from '../support/unary-model.ts';

const LEASE_MS = 3_000;
/** Of a machine that others use too: the answer that is asked for every 20 ms, and a report under way. */
const SLACK_MS = 500;

let stack: Stack;
let line: CuttableLine;
let near: AgentHandle;
let far: AgentHandle;

beforeAll(async () => {
  stack = await Stack.start();
  line = await CuttableLine.to(() => stack.port);
  near = await stack.addAgent('near', 1);
  far = await stack.addAgent('far', 2, line.url);
  for (const [at, op] of (['Abs', 'Sqrt'] as const).entries()) {
    const files = await writeUnaryModel(stack.folder, 'loans', at + 1, op);
    for (const path of [files.modelPath, files.manifestPath])
      await stack.upload(await readFile(path));
    await stack.api('POST', '/models/loans/versions', { manifest: files.manifest });
  }
});
afterAll(async () => {
  await stack.stop();
  await line.close();
});

const deploy = (version: number, more: object = {}) =>
  stack.api('PUT', '/deployments/loans', { model: 'loans', version, ...more });

/** On a connection of its own, and so of either engine. */
async function ask(host: AgentHandle): Promise<number> {
  const response = await fetch(`${host.url}/v2/models/loans/infer`, {
    method: 'POST',
    headers: { connection: 'close' },
    body: new Uint8Array(unaryRequest([4])),
  });
  const { model_version } = (await response.json()) as { model_version?: string };
  return response.status === 200 ? Number(model_version) : response.status;
}

const answers = (host: AgentHandle, what: number) =>
  until(`${host.name} to answer ${what}`, async () => ((await ask(host)) === what ? true : null));

const leaseOf = async (host: AgentHandle) => {
  const { items } = await stack.api<{ items: DeploymentHost[] }>(
    'GET',
    '/deployments/loans/agents',
  );
  return items.find(({ name }) => name === host.name)?.lease;
};

it('LEASE-4: a version that is taken back stops within its lease on a host whose line is cut, and nowhere else', async () => {
  const lease = { durationMs: LEASE_MS, afterwards: 'stop' };
  await deploy(1, { lease });
  await deploy(2);
  await Promise.all([answers(near, 2), answers(far, 2)]);
  // Linked, it is renewed: two leases later both serve.
  const since = performance.now();
  while (performance.now() - since < 2 * LEASE_MS) {
    expect([await ask(near), await ask(far)]).toEqual([2, 2]);
    await new Promise((wake) => setTimeout(wake, 50));
  }

  line.cut();
  const takenBackAt = performance.now();
  await stack.api('POST', '/deployments/loans/rollback', { to: 1, reason: 'wrong' });
  await answers(near, 1);
  expect(performance.now() - takenBackAt).toBeLessThan(LEASE_MS);
  await answers(far, 503);
  const stoppedAfterMs = performance.now() - takenBackAt;
  process.stdout.write(
    `cut off, it stopped after ${stoppedAfterMs.toFixed(0)} of ${LEASE_MS} ms\n`,
  );
  expect(stoppedAfterMs).toBeLessThan(LEASE_MS + SLACK_MS);
  // Killed and started again it has no new lease, and its other engine none either.
  await far.program.end('SIGKILL');
  await stack.restartAgent(far, 2);
  for (let k = 0; k < 10; k += 1) expect(await ask(far)).toBe(503);

  // What it reaches first is that another version shall serve.
  line.mend();
  await answers(far, 1);
  await until('the lease', async () => ((await leaseOf(far))?.state === 'held' ? true : null));
  expect(await leaseOf(near)).toEqual({ state: 'held', lapsedAt: null });
});
