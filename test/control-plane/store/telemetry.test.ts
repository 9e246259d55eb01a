import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { sql } from 'drizzle-orm';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Store } from '../../../control-plane/store/database.ts';
import {
  commitTelemetry,
  cursorOf,
  type Fold,
  type TelemetryItem,
  windowCounts,
  windowsBetween,
} from '../../../control-plane/store/telemetry.ts';
import { rowsAt } from '../../../control-plane/store/telemetry-rows.ts';
import { seeded } from '../../support/random-models.ts';

const AGENT = `agt_${'a'.repeat(24)}`;
const BOOT = 'b'.repeat(16);
const MANIFEST = `sha256:${'c'.repeat(64)}`;

/** A body is a list of row numbers; folding joins them. */
const join2: Fold = (stored, item) => ({
  requests: (stored?.requests ?? 0) + 1,
  rows: (stored?.rows ?? 0) + item.body.length,
  errors: stored?.errors ?? 0,
  body: new Uint8Array([...(stored?.body ?? []), ...item.body]),
});

let dir: string;
let store: Store;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'driftline-telemetry-'));
  store = await Store.open(dir);
});

afterEach(async () => {
  await store.close();
  await rm(dir, { recursive: true, force: true });
});

function item(
  sequence: number,
  body: number[],
  change: Partial<TelemetryItem> = {},
): TelemetryItem {
  return {
    agentId: AGENT,
    boot: BOOT,
    sequence,
    windows: 1,
    deployment: 'mortgage',
    manifest: MANIFEST,
    arm: 'stable',
    windowStartMs: 1000,
    windowMs: 1000,
    body: new Uint8Array(body),
    ...change,
  };
}

const commit = (items: TelemetryItem[], fold = join2) =>
  store.write((tx) => commitTelemetry(tx, items, fold, 5000));

const rows = () => windowsBetween(store.read, 'mortgage', 0, 10_000);

test('items of one window fold into one row, in their order', async () => {
  const { merged } = await commit([item(1, [1, 2]), item(2, [3])]);
  expect(merged.map(({ sequence }) => sequence)).toEqual([1, 2]);
  const [row] = await rows();
  expect(row).toMatchObject({ requests: 2, rows: 3, parts: 2 });
  expect([...(row?.body ?? [])]).toEqual([1, 2, 3]);
});

test('an item is merged once, however often and in whatever group it comes', async () => {
  await commit([item(1, [1]), item(1, [1])]);
  const again = await commit([item(1, [1]), item(2, [2])]);
  expect(again).toMatchObject({ duplicates: 1 });
  expect((await rows())[0]).toMatchObject({ rows: 2, parts: 2 });
});

test('sequences count within a boot', async () => {
  await commit([item(7, [1]), item(1, [2], { boot: 'd'.repeat(16) })]);
  expect((await rows())[0]).toMatchObject({ rows: 2 });
  expect(await cursorOf(store.read, AGENT, BOOT)).toBe(7);
});

test('a group that fails leaves neither rows nor cursors', async () => {
  const fold: Fold = (stored, given) => {
    if (given.sequence === 2) throw new Error('broken');
    return join2(stored, given);
  };
  await expect(commit([item(1, [1]), item(2, [2])], fold)).rejects.toThrow('broken');
  expect(await rows()).toEqual([]);
  expect(await cursorOf(store.read, AGENT, BOOT)).toBe(0);
});

test('what can not be folded counts as seen, so that it does not come for ever', async () => {
  const { refused, merged } = await commit([item(1, [1])], () => null);
  expect([refused.length, merged.length]).toEqual([1, 0]);
  expect(await cursorOf(store.read, AGENT, BOOT)).toBe(1);
  expect(await rows()).toEqual([]);
});

test('counts add up over agents; arms and versions stay apart', async () => {
  const other = `agt_${'e'.repeat(24)}`;
  await commit([
    item(1, [1]),
    item(2, [1, 2], { arm: 'candidate' }),
    item(1, [1, 2, 3], { agentId: other }),
  ]);
  const counts = await windowCounts(store.read, 'mortgage', 0, 10_000);
  const stable = counts.find(({ arm }) => arm === 'stable');
  expect(stable).toMatchObject({ agents: 2, parts: 2, requests: 2, rows: 4, errors: 0 });
  expect(counts.find(({ arm }) => arm === 'candidate')).toMatchObject({ agents: 1, rows: 2 });
  expect(await windowCounts(store.read, 'mortgage', 1001, 10_000)).toEqual([]);
});

test('in whatever groups items come, rows and cursors are those of one at a time', async () => {
  const random = seeded(3);
  const pick = (below: number) => Math.floor(random() * below);
  for (let round = 0; round < 20; round += 1) {
    const boots = [0, 1, 2].map((boot) => `${round}-${boot}`);
    const next = new Map<string, number>();
    const items = Array.from({ length: 30 }, () => {
      const boot = boots[pick(3)];
      // Now and then one that came before.
      const sequence = Math.max(1, (next.get(boot) ?? 1) - (pick(4) === 0 ? pick(3) : 0));
      next.set(boot, Math.max(next.get(boot) ?? 1, sequence + 1));
      const arm = pick(2) === 0 ? 'stable' : 'candidate';
      return item(sequence, [pick(200)], { boot, arm, windowStartMs: 1000 * (round + 1) });
    });
    const refusing: Fold = (stored, given) => (given.body[0] < 20 ? null : join2(stored, given));
    const expected = new Map<string, number[]>();
    const cursors = new Map<string, number>();
    for (const { boot, sequence, arm, body } of items) {
      if (sequence <= (cursors.get(boot) ?? 0)) continue;
      cursors.set(boot, sequence);
      if (body[0] >= 20) expected.set(arm, [...(expected.get(arm) ?? []), body[0]]);
    }
    for (let at = 0; at < items.length; ) {
      const size = 1 + pick(12);
      await commit(items.slice(at, at + size), refusing);
      at += size;
    }
    const stored = (await windowsBetween(store.read, 'mortgage', 0, 100_000)).filter(
      ({ windowStartMs }) => windowStartMs === 1000 * (round + 1),
    );
    expect(new Map(stored.map(({ arm, body }) => [arm, [...body]]))).toEqual(expected);
    expect(stored.every(({ parts, body }) => parts === body.length)).toBe(true);
    for (const [boot, sequence] of cursors) {
      expect(await cursorOf(store.read, AGENT, boot)).toBe(sequence);
    }
  }
});

test('the rows of a group are found by their whole key, however many windows there are', async () => {
  const places = [item(1, [1]), item(2, [2], { windowStartMs: 2000 })];
  const query = rowsAt(store.read, places).getSQL();
  const plan = await store.read.all<{ detail: string }>(sql`explain query plan ${query}`);
  const searches = plan
    .map(({ detail }) => detail)
    .filter((detail) => /SEARCH|SCAN at/.test(detail));
  expect(searches).toEqual([
    expect.stringContaining('windows USING INTEGER PRIMARY KEY (rowid=?)'),
    expect.stringMatching(/manifest=\? AND arm=\? AND window_start_ms=\? AND agent_id=\?/),
  ]);
});
