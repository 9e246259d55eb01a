import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { DeploymentHost } from '../../control-plane/http/deployment-hosts.ts';
import type { DeploymentStatus } from '../../control-plane/http/deployments.ts';
import { type AgentHandle, Stack, until } from '../support/stack.ts';
import { type UnaryOperator, unaryRequest, writeUnaryModel } from '../support/unary-model.ts';

const run = promisify(execFile);
const ROOT = resolve(import.meta.dirname, '../..');
const CLI = join(ROOT, 'control-plane/cli/driftline.js');

let stack: Stack;
let host: AgentHandle;
let receiver: Server;
/** What the channel was told, as its webhook got it. */
const messages: { type: string; data: { summary: string; link: string } }[] = [];

beforeAll(async () => {
  receiver = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    messages.push(JSON.parse(Buffer.concat(chunks).toString()));
    response.writeHead(204).end();
  });
  await new Promise<void>((resolve) => receiver.listen(0, '127.0.0.1', resolve));
  stack = await Stack.start('--allow-network', '127.0.0.0/8');
  const url = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
  await stack.api('PUT', '/channels/ops', { kind: 'webhook', url });
  host = await stack.addAgent('edge', 2);
  for (const [at, op] of (['Abs', 'Log'] as const).entries()) await push(at + 1, op);
});
afterAll(async () => {
  await stack.stop();
  receiver.close();
});

const toldOf = (type: string) =>
  until(type, async () => messages.find((message) => message.type === type) ?? null);

async function push(version: number, op: UnaryOperator): Promise<void> {
  const files = await writeUnaryModel(stack.folder, 'loans', version, op);
  for (const path of [files.modelPath, files.manifestPath])
    await stack.upload(await readFile(path));
  await stack.api('POST', '/models/loans/versions', { manifest: files.manifest });
}

async function driftline(...argv: string[]): Promise<string> {
  const env = { ...process.env, DRIFTLINE_URL: stack.url, DRIFTLINE_TOKEN: stack.token };
  const { stdout } = await run(process.execPath, [CLI, ...argv], { cwd: stack.folder, env });
  return stdout;
}

/** On a connection of its own, and so of either engine. Which version answered, or the status where none did. */
async function ask(value: number): Promise<number> {
  const response = await fetch(`${host.url}/v2/models/loans/infer`, {
    method: 'POST',
    headers: { connection: 'close' },
    body: new Uint8Array(unaryRequest([value])),
  });
  const { model_version } = (await response.json()) as { model_version?: string };
  return response.status === 200 ? Number(model_version) : response.status;
}

const answersWith = (version: number) =>
  until(`version ${version}`, async () => ((await ask(2)) === version ? true : null));

const status = () => stack.api<DeploymentStatus>('GET', '/deployments/loans');

it('a host that is offline takes a bad version back by itself, keeps it out over kill -9, and tells it once', async () => {
  // Version 1 is good. Version 2 answers NaN for what is below 0, which nobody has asked it yet.
  await driftline('deploy', 'loans@1', '--as', 'loans', '--max-non-finite', '2');
  await driftline('deploy', 'loans@2', '--as', 'loans', '--strategy', 'all-at-once');
  await answersWith(2);

  // The line is cut, and now somebody asks.
  await stack.endControl('SIGKILL');
  const asked: number[] = [];
  while (asked.at(-1) !== 1 && asked.length < 100) asked.push(await ask(-3));
  // No engine gives more than three, whether or not it has heard of the other's yet; there are two engines.
  expect(asked.slice(0, -1)).toEqual(asked.slice(0, -1).map(() => 500));
  expect(asked.length).toBeLessThanOrEqual(2 * 3 + 1);

  // Every engine of the host answers with the last good version, without anybody's word.
  for (let k = 0; k < 40; k += 1) expect(await ask(-3)).toBe(1);

  // It is killed, and starts from its disk alone: the version stays out.
  await host.program.end('SIGKILL');
  await stack.restartAgent(host, 2);
  for (let k = 0; k < 40; k += 1) expect(await ask(-3)).toBe(1);

  // The line is back: the evidence comes, and comes once, whatever is said again.
  await stack.restartControl();
  const told = await until('the evidence', async () => {
    const now = await status();
    return now.trips.length > 0 ? now : null;
  });
  expect(told.trips).toMatchObject([
    {
      version: 2,
      arm: 'stable',
      breach: { threshold: 'non-finite', bad: 3, limit: 2 },
      outcome: { kind: 'reverted', version: 1 },
    },
  ]);
  const { items } = await stack.api<{ items: DeploymentHost[] }>(
    'GET',
    '/deployments/loans/agents',
  );
  const [{ arms }] = items;
  expect(arms.map(({ version, state }) => [version, state])).toEqual([
    [2, 'refused'],
    [1, 'serving'],
  ]);
  await host.program.end('SIGKILL');
  await stack.restartAgent(host, 2);
  await host.program.line('joined');
  const shown = await driftline('status');
  expect(shown).toMatch(
    /TAKEN BACK BY HOSTS OF loans\n\s*@2\s+edge .*3 of the last \d+ answers held NaN/,
  );
  expect(await driftline('guard', 'loans')).toMatch(
    /non-finite\s+at most 2 of the last 100 answers of an engine[\s\S]*version 1 answers/,
  );
  const audit = await stack.api<{ items: { action: string }[] }>('GET', '/audit?limit=500');
  expect(audit.items.filter(({ action }) => action === 'agent.guard-tripped')).toHaveLength(1);

  // People are told, once, with the evidence and a page that shows it.
  const opened = await toldOf('alert.opened');
  expect(opened.data.summary).toMatch(/version 2 was taken back by a host, last by edge: 3 of the/);
  const page = await (await fetch(opened.data.link)).text();
  expect(page).toContain('guard-tripped');
  expect(page).toContain('version 1 answers');
  expect(await driftline('alerts')).toMatch(/guard-tripped\s+loans\s+version 2 was taken back/);

  // Somebody decides: first for the version before, then anew for the one that was taken back.
  await driftline('rollback', 'loans', '--reason', 'NaN below 0');
  expect(await ask(-3)).toBe(1);
  await toldOf('alert.resolved');
  await driftline('deploy', 'loans@2', '--as', 'loans', '--strategy', 'all-at-once');
  await answersWith(2);
  expect(messages.map(({ type }) => type)).toEqual(['alert.opened', 'alert.resolved']);
});
