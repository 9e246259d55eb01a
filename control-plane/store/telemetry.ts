import { and, eq, getTableColumns, gte, lt, sql } from 'drizzle-orm';
import type { AgentId, Arm, BootId, Digest } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { cursors, windows } from './telemetry-schema.ts';

export type WindowRow = typeof windows.$inferSelect;

/** One telemetry message that its agent may have sent before. */
export interface TelemetryItem {
  readonly agentId: AgentId;
  readonly boot: BootId;
  readonly sequence: number;
  readonly deployment: string;
  readonly manifest: Digest;
  readonly arm: Arm;
  readonly windowStartMs: number;
  readonly windowMs: number;
  /** How many windows of the host it adds up. */
  readonly windows: number;
  readonly body: Uint8Array;
}

/** A row's content after an item: counts stand beside the sketch so that totals need no decoding. */
export type Folded = Pick<WindowRow, 'requests' | 'rows' | 'errors' | 'body'>;

/**
 * `stored` and the item together; null: the item can't be merged. It still counts as seen, or its
 * agent would send it for ever.
 */
export type Fold = (stored: Folded | null, item: TelemetryItem) => Folded | null;

export interface Committed {
  /** Items that were new and went into a row, in their order. */
  readonly merged: readonly TelemetryItem[];
  readonly duplicates: number;
  /** New, but `fold` returned null. */
  readonly refused: readonly TelemetryItem[];
}

/**
 * Merges a group of items exactly once each: an item at or below its boot's cursor is skipped, all
 * others are folded and their cursor moves, together or not at all. Items of one boot must come in
 * the order of their sequence. Acknowledge only after the surrounding transaction has committed.
 * Four statements, however many items there are.
 */
export async function commitTelemetry(
  tx: Transaction,
  items: readonly TelemetryItem[],
  fold: Fold,
  now: number,
): Promise<Committed> {
  const merged: TelemetryItem[] = [];
  const refused: TelemetryItem[] = [];
  const seen = await cursorsOf(tx, items);
  const fresh = items.filter((item) => {
    const key = bootKey(item);
    if (item.sequence <= (seen.get(key)?.sequence ?? 0)) return false;
    const { agentId, boot, sequence } = item;
    seen.set(key, { agentId, boot, sequence, updatedAt: now });
    return true;
  });
  const rows = await rowsOf(tx, fresh);
  const changed = new Map<string, WindowRow>();
  for (const item of fresh) {
    const key = rowKey(item);
    const row = foldInto(changed.get(key) ?? rows.get(key) ?? null, item, fold, now);
    if (row !== null) changed.set(key, row);
    (row === null ? refused : merged).push(item);
  }
  const boots = new Set(fresh.map(bootKey));
  await putCursors(
    tx,
    [...seen].flatMap(([key, cursor]) => (boots.has(key) ? [cursor] : [])),
  );
  await putWindows(tx, [...changed.values()]);
  return { merged, refused, duplicates: items.length - merged.length - refused.length };
}

type CursorRow = typeof cursors.$inferSelect;

function bootKey({ agentId, boot }: Pick<CursorRow, 'agentId' | 'boot'>): string {
  return `${agentId} ${boot}`;
}

/** What tells the rows of `windows` apart. */
type RowPlace = Pick<WindowRow, 'deployment' | 'manifest' | 'arm' | 'windowStartMs' | 'agentId'>;

function rowKey({ deployment, manifest, arm, windowStartMs, agentId }: RowPlace): string {
  return `${deployment} ${manifest} ${arm} ${windowStartMs} ${agentId}`;
}

async function cursorsOf(
  tx: Transaction,
  items: readonly TelemetryItem[],
): Promise<Map<string, CursorRow>> {
  const boots = new Map(items.map((item) => [bootKey(item), [item.agentId, item.boot]]));
  const wanted = JSON.stringify([...boots.values()]);
  const rows = await tx
    .select()
    .from(cursors)
    .where(
      sql`(${cursors.agentId}, ${cursors.boot}) in (select value ->> 0, value ->> 1 from json_each(${wanted}))`,
    );
  return new Map(rows.map((row) => [bootKey(row), row]));
}

async function rowsOf(
  tx: Transaction,
  items: readonly TelemetryItem[],
): Promise<Map<string, WindowRow>> {
  const places = new Map(
    items.map((item) => {
      const { deployment, manifest, arm, windowStartMs, agentId } = item;
      return [rowKey(item), [deployment, manifest, arm, windowStartMs, agentId]];
    }),
  );
  const wanted = JSON.stringify([...places.values()]);
  // By rowid, because of a list of five values SQLite would look up the first three in its index, and read all of a version.
  const rows = await tx
    .select()
    .from(windows)
    .where(
      sql`${windows}.rowid in (
        select there.rowid from json_each(${wanted}) cross join ${windows} as there
        on there.deployment = value ->> 0 and there.manifest = value ->> 1 and there.arm = value ->> 2
          and there.window_start_ms = value ->> 3 and there.agent_id = value ->> 4)`,
    );
  return new Map(rows.map((row) => [rowKey(row), row]));
}

/** Rows of one statement: at most twelve values each, and some 10 KB. */
const ROWS_PER_INSERT = 256;

async function putCursors(tx: Transaction, rows: readonly CursorRow[]): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    await tx
      .insert(cursors)
      .values(rows.slice(from, from + ROWS_PER_INSERT))
      .onConflictDoUpdate({
        target: [cursors.agentId, cursors.boot],
        set: { sequence: sql`excluded.sequence`, updatedAt: sql`excluded.updated_at` },
      });
  }
}

async function putWindows(tx: Transaction, rows: readonly WindowRow[]): Promise<void> {
  const { deployment, manifest, arm, windowStartMs, agentId, ...content } =
    getTableColumns(windows);
  const set = Object.fromEntries(
    Object.entries(content).map(([key, column]) => [key, sql.raw(`excluded."${column.name}"`)]),
  );
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    await tx
      .insert(windows)
      .values(rows.slice(from, from + ROWS_PER_INSERT))
      .onConflictDoUpdate({ target: [deployment, manifest, arm, windowStartMs, agentId], set });
  }
}

/** Highest sequence merged of one start of an agent; 0 when none. */
export async function cursorOf(db: Reader, agentId: AgentId, boot: BootId): Promise<number> {
  const [row] = await db
    .select({ sequence: cursors.sequence })
    .from(cursors)
    .where(and(eq(cursors.agentId, agentId), eq(cursors.boot, boot)));
  return row?.sequence ?? 0;
}

/** The row with the item in it; null: it can't be merged. */
function foldInto(
  stored: WindowRow | null,
  item: TelemetryItem,
  fold: Fold,
  now: number,
): WindowRow | null {
  const folded = fold(stored, item);
  if (folded === null) return null;
  const { deployment, manifest, arm, windowStartMs, windowMs, agentId, windows: parts } = item;
  const { requests, rows, errors, body } = folded;
  return {
    ...{ deployment, manifest, arm, windowStartMs, agentId, requests, rows, errors, body },
    parts: (stored?.parts ?? 0) + parts,
    // A coarser one that begins at the same time covers more of it.
    windowMs: Math.max(stored?.windowMs ?? 0, windowMs),
    updatedAt: now,
  };
}

/** Rows whose window starts in [fromMs, toMs), oldest first; of one version when `manifest` is given. */
export async function windowsBetween(
  db: Reader,
  deployment: string,
  fromMs: number,
  toMs: number,
  manifest?: Digest,
): Promise<WindowRow[]> {
  return db
    .select()
    .from(windows)
    .where(
      and(
        eq(windows.deployment, deployment),
        gte(windows.windowStartMs, fromMs),
        lt(windows.windowStartMs, toMs),
        manifest === undefined ? undefined : eq(windows.manifest, manifest),
      ),
    )
    .orderBy(windows.windowStartMs);
}

/** Counts of a span without reading a sketch, one row per window, version and arm. */
export async function windowCounts(db: Reader, deployment: string, fromMs: number, toMs: number) {
  return db
    .select({
      windowStartMs: windows.windowStartMs,
      windowMs: windows.windowMs,
      arm: windows.arm,
      manifest: windows.manifest,
      agents: sql<number>`count(*)`,
      parts: sql<number>`sum(${windows.parts})`,
      requests: sql<number>`sum(${windows.requests})`,
      rows: sql<number>`sum(${windows.rows})`,
      errors: sql<number>`sum(${windows.errors})`,
    })
    .from(windows)
    .where(
      and(
        eq(windows.deployment, deployment),
        gte(windows.windowStartMs, fromMs),
        lt(windows.windowStartMs, toMs),
      ),
    )
    .groupBy(windows.windowStartMs, windows.windowMs, windows.manifest, windows.arm)
    .orderBy(windows.windowStartMs);
}
