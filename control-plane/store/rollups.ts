import { and, asc, eq, gte, lt, lte, notExists, sql } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { rollupDue, rollups, windows } from './telemetry-schema.ts';

/**
 * Windows added up, host by host:
 *
 *     windows ──▶ hour rows ──▶ day rows
 *
 * A row is made anew from everything below it whenever something below has changed, so making it twice is making it
 * once. Before what is below is deleted, the row is *sealed*: from then on late windows are added to it, and deleted in
 * the same transaction. At any moment, the content of a span is its rows of one level, plus the sealed rows of the
 * levels above it; a level may be read alone where nothing is due.
 */
export const HOUR_MS = 3_600_000;
export const DAY_MS = 86_400_000;
export type RollupLevel = typeof HOUR_MS | typeof DAY_MS;

export type RollupRow = typeof rollups.$inferSelect;
export type RollupKey = typeof rollupDue.$inferSelect;

/** What is added up: counts beside the sketch, as in a window's row. */
export type Summand = Pick<RollupRow, 'parts' | 'requests' | 'rows' | 'errors' | 'body'>;

/** Null when there is nothing that can be read. */
export type SumUp = (parts: readonly Summand[]) => Summand | null;

/** Marks what must be made anew. In the transaction of the change. */
export async function markDue(tx: Transaction, keys: readonly RollupKey[]): Promise<void> {
  if (keys.length === 0) return;
  const values = keys.map(({ deployment, manifest, arm, levelMs, startMs, agentId }) => [
    ...[deployment, manifest, arm, levelMs, startMs, agentId],
  ]);
  await tx.run(sql`
    insert or ignore into ${rollupDue} (deployment, manifest, arm, level_ms, start_ms, agent_id)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    from json_each(${JSON.stringify(values)})`);
}

/** Roll-ups to make whose span has ended before `endedBeforeMs`, oldest first. */
export async function dueRollups(
  db: Reader,
  level: RollupLevel,
  endedBeforeMs: number,
  limit: number,
): Promise<RollupKey[]> {
  return db
    .select()
    .from(rollupDue)
    .where(and(eq(rollupDue.levelMs, level), lte(rollupDue.startMs, endedBeforeMs - level)))
    .orderBy(asc(rollupDue.startMs))
    .limit(limit);
}

/** Makes one row from what is below it; the row above it becomes due. */
export async function makeRollup(
  tx: Transaction,
  key: RollupKey,
  sumUp: SumUp,
  now: number,
): Promise<void> {
  const { levelMs, startMs, ...who } = key;
  const [present] = await tx.select().from(rollups).where(rollupAt(key));
  const below = levelMs === HOUR_MS ? await windowsUnder(tx, key) : await hoursUnder(tx, key);
  const sealed = present?.sealed === true;
  const sum = sumUp(sealed ? [present, ...below] : below);
  if (sum !== null) {
    const content = { ...sum, updatedAt: now };
    await tx
      .insert(rollups)
      .values({ ...key, ...content })
      .onConflictDoUpdate({ target: PRIMARY_KEY, set: content });
  }
  if (sealed) await deleteUnder(tx, key);
  await tx.delete(rollupDue).where(dueAt(key));
  if (levelMs !== HOUR_MS) return;
  await markDue(tx, [{ ...who, levelMs: DAY_MS, startMs: startMs - (startMs % DAY_MS) }]);
}

/**
 * Seals up to `limit` rows that begin before `beforeMs` and deletes what they were made from.
 *
 * @returns rows sealed and rows deleted
 */
export async function sealRollups(
  tx: Transaction,
  level: RollupLevel,
  beforeMs: number,
  limit: number,
): Promise<{ readonly sealed: number; readonly deleted: number }> {
  const due = tx
    .select({ one: sql`1` })
    .from(rollupDue)
    .where(
      and(
        eq(rollupDue.deployment, rollups.deployment),
        eq(rollupDue.manifest, rollups.manifest),
        eq(rollupDue.arm, rollups.arm),
        eq(rollupDue.agentId, rollups.agentId),
        gte(rollupDue.startMs, rollups.startMs),
        lt(rollupDue.startMs, sql`${rollups.startMs} + ${level}`),
      ),
    );
  const ripe = await tx
    .select()
    .from(rollups)
    .where(
      and(
        eq(rollups.levelMs, level),
        eq(rollups.sealed, false),
        lte(rollups.startMs, beforeMs - level),
        notExists(due),
      ),
    )
    .orderBy(asc(rollups.startMs))
    .limit(limit);
  let deleted = 0;
  for (const row of ripe) {
    deleted += await deleteUnder(tx, row);
    await tx.update(rollups).set({ sealed: true }).where(rollupAt(row));
  }
  return { sealed: ripe.length, deleted };
}

/** Start of the first hour that the stable arm of a version was rolled up for; null before. */
export async function firstHour(
  db: Reader,
  deployment: string,
  manifest: string,
): Promise<number | null> {
  const [row] = await db
    .select({ first: sql<number | null>`min(${rollups.startMs})` })
    .from(rollups)
    .where(
      and(
        eq(rollups.deployment, deployment),
        eq(rollups.manifest, manifest),
        eq(rollups.arm, 'stable'),
        eq(rollups.levelMs, HOUR_MS),
      ),
    );
  return row?.first ?? null;
}

const PRIMARY_KEY = [
  rollups.deployment,
  rollups.manifest,
  rollups.arm,
  rollups.levelMs,
  rollups.startMs,
  rollups.agentId,
];

function rollupAt(key: RollupKey) {
  return and(
    eq(rollups.deployment, key.deployment),
    eq(rollups.manifest, key.manifest),
    eq(rollups.arm, key.arm),
    eq(rollups.levelMs, key.levelMs),
    eq(rollups.startMs, key.startMs),
    eq(rollups.agentId, key.agentId),
  );
}

function dueAt(key: RollupKey) {
  return and(
    eq(rollupDue.deployment, key.deployment),
    eq(rollupDue.manifest, key.manifest),
    eq(rollupDue.arm, key.arm),
    eq(rollupDue.levelMs, key.levelMs),
    eq(rollupDue.startMs, key.startMs),
    eq(rollupDue.agentId, key.agentId),
  );
}

function underWindows(key: RollupKey) {
  return and(
    eq(windows.deployment, key.deployment),
    eq(windows.manifest, key.manifest),
    eq(windows.arm, key.arm),
    eq(windows.agentId, key.agentId),
    gte(windows.windowStartMs, key.startMs),
    lt(windows.windowStartMs, key.startMs + key.levelMs),
  );
}

function underHours(key: RollupKey) {
  return and(
    eq(rollups.deployment, key.deployment),
    eq(rollups.manifest, key.manifest),
    eq(rollups.arm, key.arm),
    eq(rollups.levelMs, HOUR_MS),
    eq(rollups.agentId, key.agentId),
    gte(rollups.startMs, key.startMs),
    lt(rollups.startMs, key.startMs + key.levelMs),
  );
}

/** What is added up, and no more: the other columns are as many again for the driver to hand over, row by row. */
function summandOf({ parts, requests, rows, errors, body }: typeof windows | typeof rollups) {
  return { parts, requests, rows, errors, body };
}

async function windowsUnder(tx: Transaction, key: RollupKey): Promise<Summand[]> {
  const wanted = tx.select(summandOf(windows)).from(windows);
  return wanted.where(underWindows(key)).orderBy(asc(windows.windowStartMs));
}

async function hoursUnder(tx: Transaction, key: RollupKey): Promise<Summand[]> {
  const wanted = tx.select(summandOf(rollups)).from(rollups);
  return wanted.where(underHours(key)).orderBy(asc(rollups.startMs));
}

/** Everything a row stands for; of a day, hours and windows alike: an hour made anew must not bring them back. */
async function deleteUnder(tx: Transaction, key: RollupKey): Promise<number> {
  const gone = await tx.delete(windows).where(underWindows(key));
  if (key.levelMs === HOUR_MS) return gone.rowsAffected;
  const hours = await tx.delete(rollups).where(underHours(key));
  return gone.rowsAffected + hours.rowsAffected;
}
