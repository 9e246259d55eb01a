import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { eventsAfter, lastSequence, record } from '../../../control-plane/audit/record.ts';
import { Store } from '../../../control-plane/store/database.ts';

let dir: string;
let store: Store;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'driftline-audit-'));
  store = await Store.open(dir);
  await store.write(async (tx) => {
    await record(tx, 1, 'system', 'alert.raised', 'deployment:a', { kind: 'errors' });
    await record(tx, 2, 'token:ops', 'deployment.rolled-back', 'deployment:a');
  });
});

afterAll(async () => {
  await store.close();
  await rm(dir, { recursive: true, force: true });
});

test('events come back in order, with who, what and why', async () => {
  const events = await eventsAfter(store.read, 0, 10);
  expect(events).toMatchObject([
    { sequence: 1, actor: 'system', action: 'alert.raised', detail: { kind: 'errors' } },
    { sequence: 2, actor: 'token:ops', action: 'deployment.rolled-back', detail: {} },
  ]);
  expect(await eventsAfter(store.read, 1, 10)).toHaveLength(1);
  expect(await lastSequence(store.read)).toBe(2);
});

test.each([
  ['UPDATE', sql`update events set actor = 'nobody'`],
  ['DELETE', sql`delete from events`],
  ['REPLACE', sql`insert or replace into events values (1, 9, 'x', 'x', 'x', '{}')`],
])('the database itself refuses %s', async (_, statement) => {
  await expect(store.write(async (tx) => tx.run(statement))).rejects.toThrow();
  expect(await eventsAfter(store.read, 0, 10)).toMatchObject([{ actor: 'system' }, {}]);
});

test('a change that fails leaves no event', async () => {
  const failing = store.write(async (tx) => {
    await record(tx, 3, 'system', 'alert.resolved', 'deployment:a');
    throw new Error('undone');
  });
  await expect(failing).rejects.toThrow('undone');
  expect(await lastSequence(store.read)).toBe(2);
});
