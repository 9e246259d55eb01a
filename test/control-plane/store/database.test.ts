import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@libsql/client';
import { is, sql } from 'drizzle-orm';
import { getTableConfig, SQLiteTable } from 'drizzle-orm/sqlite-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { currentGeneration, nextGeneration } from '../../../control-plane/store/counters.ts';
import { Store } from '../../../control-plane/store/database.ts';
import * as schema from '../../../control-plane/store/schema.ts';
import { loadSigningKey } from '../../../control-plane/store/signing-key.ts';

let dir: string;
let store: Store;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'driftline-store-'));
  store = await Store.open(dir);
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true, force: true });
});

test('the migrated database has exactly the columns of the schema', async () => {
  const tables = Object.values(schema).filter((value) => is(value, SQLiteTable));
  expect(tables.length).toBeGreaterThan(15);
  for (const table of tables) {
    const { name, columns } = getTableConfig(table);
    const actual = await store.read.all<{ name: string; notnull: number }>(
      sql`select name, "notnull" from pragma_table_info(${name})`,
    );
    const wanted = columns.map((column) => ({
      name: column.name,
      notnull: column.notNull ? 1 : 0,
    }));
    expect(
      actual.map((row) => ({ ...row })),
      name,
    ).toEqual(wanted);
  }
});

test('the database is in WAL mode and for its owner only', async () => {
  const [mode] = await store.read.all<{ journal_mode: string }>(sql`pragma journal_mode`);
  expect(mode?.journal_mode).toBe('wal');
  expect((await stat(join(dir, 'driftline.db'))).mode & 0o077).toBe(0);
});

test('writes queue: fifty at once each see the one before, and a failed one leaves no trace', async () => {
  const results = await Promise.allSettled(
    Array.from({ length: 50 }, (_, at) =>
      store.write(async (tx) => {
        const generation = await nextGeneration(tx);
        await new Promise((resolve) => setImmediate(resolve));
        if (at === 10) throw new Error('undone');
        return generation;
      }),
    ),
  );
  const given = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
  expect(given).toEqual(Array.from({ length: 49 }, (_, at) => at + 1));
  expect(await currentGeneration(store.read)).toBe(49);
});

test('writes that wait share a commit, and each is undone alone', async () => {
  const before = store.commits;
  const outcomes = await Promise.allSettled(
    Array.from({ length: 200 }, (_, at) =>
      store.write(async (tx) => {
        await nextGeneration(tx);
        if (at % 10 === 3) throw new Error(`undone ${at}`);
        // A second row of the same key: undoes this write, and no other.
        if (at % 10 === 7) await tx.run(sql`insert into counters select * from counters`);
        return at;
      }),
    ),
  );
  const rejected = outcomes.flatMap((each, at) => (each.status === 'rejected' ? [at] : []));
  expect(rejected).toEqual(
    outcomes.flatMap((_, at) => (at % 10 === 3 || at % 10 === 7 ? [at] : [])),
  );
  expect(await currentGeneration(store.read)).toBe(160);
  expect(store.commits - before).toBeLessThan(40);
});

test('a write whose transaction is lost takes those of its group with it, and the next one runs', async () => {
  const outcomes = await Promise.allSettled([
    store.write((tx) => nextGeneration(tx)),
    store.write(async (tx) => {
      await tx.run(sql`rollback`);
      await nextGeneration(tx);
    }),
  ]);
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  expect(await store.write((tx) => nextGeneration(tx))).toBe(1);
});

test('a statement that is refused undoes its own write, and none of those that share its commit', async () => {
  const wrong = ['select nonsense', "select json('{')", 'select zeroblob(2000000000)'];
  const outcomes = await Promise.allSettled([
    store.write((tx) => nextGeneration(tx)),
    ...wrong.map((text) =>
      store.write(async (tx) => {
        await nextGeneration(tx);
        await tx.run(sql.raw(text));
      }),
    ),
    store.write((tx) => nextGeneration(tx)),
  ]);
  const [first, ...rest] = outcomes.map(({ status }) => status);
  expect([first, ...rest]).toEqual(['fulfilled', ...wrong.map(() => 'rejected'), 'fulfilled']);
  expect(await currentGeneration(store.read)).toBe(2);
});

test('readers go on while a transaction is open, and do not see it', async () => {
  await store.write(async (tx) => {
    await nextGeneration(tx);
    expect(await currentGeneration(store.read)).toBe(0);
  });
  expect(await currentGeneration(store.read)).toBe(1);
});

test('a second start finds everything and migrates nothing twice', async () => {
  await store.write((tx) => nextGeneration(tx));
  await store.close();
  store = await Store.open(dir);
  expect(await store.write((tx) => nextGeneration(tx))).toBe(2);
});

test('nextCommit ends at a commit, at once when one was missed, at its time and at an abort', async () => {
  const never = new AbortController().signal;
  const before = store.commits;
  const woken = store.nextCommit(before, 60_000, never);
  await store.write((tx) => nextGeneration(tx));
  await woken;
  await store.nextCommit(before, 60_000, never);
  await store.nextCommit(store.commits, 1, never);
  const leaving = new AbortController();
  const left = store.nextCommit(store.commits, 60_000, leaving.signal);
  leaving.abort();
  await left;
  expect(store.commits).toBe(before + 1);
});

test('the signing key is made once, for its owner only', async () => {
  const first = await loadSigningKey(dir);
  const second = await loadSigningKey(dir);
  expect(second.keyId).toBe(first.keyId);
  expect((await stat(join(dir, 'signing-key.json'))).mode & 0o077).toBe(0);
});

test('a long queue of writes leaves the event loop its turns', async () => {
  const writes = Array.from({ length: 400 }, () =>
    store.write(async (tx) => {
      for (let at = 0; at < 5; at += 1) await nextGeneration(tx);
    }),
  );
  let ended = false;
  const all = Promise.all(writes).then(() => {
    ended = true;
  });
  let turns = 0;
  while (!ended) {
    await new Promise((resolve) => setImmediate(resolve));
    turns += 1;
  }
  await all;
  // Worked off in one go it would be two: before the first commit and after the last.
  expect(turns).toBeGreaterThan(5);
});

test('what goes first is done before writes that wait, in its own order', async () => {
  const order: string[] = [];
  const note = (name: string) => async () => {
    order.push(name);
  };
  const writes = ['a', 'b', 'c'].map((name) => store.write(note(name)));
  const first = ['deploy', 'rollback'].map((name) => store.writeFirst(note(name)));
  await Promise.all([...writes, ...first]);
  expect(order).toHaveLength(5);
  expect(order.indexOf('deploy')).toBeLessThan(order.indexOf('rollback'));
  expect(order.indexOf('rollback')).toBeLessThan(order.indexOf('c'));
});

test('writes are told when no transaction can begin, one after the other, and later ones go on', async () => {
  const client = Reflect.get(store.read, '$client') as Client;
  const begin = client.transaction;
  client.transaction = () => Promise.reject(new Error('SQLITE_BUSY: locked by a backup'));
  const told = await Promise.allSettled(['a', 'b'].map((name) => store.write(async () => name)));
  expect(told.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
  client.transaction = begin;
  expect(await store.write(async () => 'c')).toBe('c');
});

test('a store that is closed has done what was asked for, and refuses what comes later', async () => {
  const before = store.write(async (tx) => nextGeneration(tx));
  const closing = store.close();
  await expect(store.write(async () => 'late')).rejects.toThrow('the database is closed');
  await closing;
  expect(await before).toBe(1);
  store = await Store.open(dir);
});
