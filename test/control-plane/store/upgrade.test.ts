import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createClient } from '@libsql/client';
import { drizzle } from 'drizzle-orm/libsql';
import { migrate } from 'drizzle-orm/libsql/migrator';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { findAgent } from '../../../control-plane/store/agents.ts';
import { assignedOf } from '../../../control-plane/store/assignments.ts';
import { Store } from '../../../control-plane/store/database.ts';
import { findDesired } from '../../../control-plane/store/desired.ts';

const MIGRATIONS = join(import.meta.dirname, '../../../control-plane/store/migrations');
const AGENT = `agt_${'1'.repeat(24)}`;

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'driftline-upgrade-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** A database as the build with these migrations left it. */
async function before(tag: string) {
  const folder = join(dir, 'migrations');
  await cp(MIGRATIONS, folder, { recursive: true });
  const path = join(folder, 'meta/_journal.json');
  const journal = JSON.parse(await readFile(path, 'utf8')) as { entries: { tag: string }[] };
  const last = journal.entries.findIndex((entry) => entry.tag === tag);
  await writeFile(
    path,
    JSON.stringify({ ...journal, entries: journal.entries.slice(0, last + 1) }),
  );
  const client = createClient({ url: pathToFileURL(join(dir, 'driftline.db')).href });
  await migrate(drizzle(client), { migrationsFolder: folder });
  return client;
}

test('agents of a build without approval are in service, with their labels and what they were asked to serve', async () => {
  const client = await before('0004_monitoring');
  const document = { agent: AGENT, deployments: [{ name: 'loans' }, { name: 'cards' }] };
  const labels = JSON.stringify({ site: 'lab' });
  await client.batch([
    {
      sql: `insert into agents (id, name, public_key, labels, capabilities, joined_at, last_seen_at,
            observed_generation, applied_generation) values (?, 'edge', x'00', ?, '{}', 7, 8, 1, 1)`,
      args: [AGENT, labels],
    },
    {
      sql: `insert into desired (agent_id, generation, content_hash, payload, key_id, signature, issued_at,
            expires_at, created_at) values (?, 1, '', ?, '', x'00', 0, 0, 0)`,
      args: [AGENT, new TextEncoder().encode(JSON.stringify(document))],
    },
    {
      sql: `insert into reports (agent_id, deployment, arms, at, received_at) values (?, 'former', '[]', 0, 0)`,
      args: [AGENT],
    },
  ]);
  client.close();
  const store = await Store.open(dir);
  const agent = await findAgent(store.read, AGENT);
  expect(agent).toMatchObject({ approvedAt: 7, revokedAt: null, stale: false });
  expect(agent?.labels).toEqual({ site: 'lab' });
  const isAssigned = async (db: Store['read'], agentId: string, deployment: string) =>
    (await assignedOf(db, [{ agentId, deployment }])).length > 0;
  for (const deployment of ['loans', 'cards', 'former']) {
    expect(await isAssigned(store.read, AGENT, deployment)).toBe(true);
  }
  expect(await isAssigned(store.read, AGENT, 'vault')).toBe(false);
  // It is given a newer one at the start: bytes of an older build are not made again.
  expect(await findDesired(store.read, AGENT)).toBeNull();
  await store.close();
});
