import { and, eq, gte, lt, sql } from 'drizzle-orm';
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
 */
export async function commitTelemetry(
  tx: Transaction,
  items: readonly TelemetryItem[],
  fold: Fold,
  now: number,
): Promise<Committed> {
  const merged: TelemetryItem[] = [];
  const refused: TelemetryItem[] = [];
  for (const item of items) {
    if (item.sequence <= (await cursorOf(tx, item.agentId, item.boot))) continue;
    await setCursor(tx, item, now);
    const folded = await foldInto(tx, item, fold, now);
    (folded ? merged : refused).push(item);
  }
  return { merged, refused, duplicates: items.length - merged.length - refused.length };
}

/** Highest sequence merged of one start of an agent; 0 when none. */
export async function cursorOf(db: Reader, agentId: AgentId, boot: BootId): Promise<number> {
  const [row] = await db
    .select({ sequence: cursors.sequence })
    .from(cursors)
    .where(and(eq(cursors.agentId, agentId), eq(cursors.boot, boot)));
  return row?.sequence ?? 0;
}

async function setCursor(tx: Transaction, item: TelemetryItem, now: number): Promise<void> {
  const { agentId, boot, sequence } = item;
  await tx
    .insert(cursors)
    .values({ agentId, boot, sequence, updatedAt: now })
    .onConflictDoUpdate({
      target: [cursors.agentId, cursors.boot],
      set: { sequence, updatedAt: now },
    });
}

async function foldInto(
  tx: Transaction,
  item: TelemetryItem,
  fold: Fold,
  now: number,
): Promise<boolean> {
  const { deployment, manifest, arm, windowStartMs, windowMs, agentId, windows: parts } = item;
  const key = and(
    eq(windows.deployment, deployment),
    eq(windows.manifest, manifest),
    eq(windows.arm, arm),
    eq(windows.windowStartMs, windowStartMs),
    eq(windows.agentId, agentId),
  );
  const [stored] = await tx.select().from(windows).where(key);
  const folded = fold(stored ?? null, item);
  if (folded === null) return false;
  const { requests, rows, errors, body } = folded;
  const content = { requests, rows, errors, body, updatedAt: now };
  if (stored === undefined) {
    const place = { deployment, manifest, arm, windowStartMs, windowMs, agentId };
    await tx.insert(windows).values({ ...place, ...content, parts });
  } else {
    await tx
      .update(windows)
      .set({
        ...content,
        parts: stored.parts + parts,
        // A coarser one that begins at the same time covers more of it.
        windowMs: Math.max(stored.windowMs, windowMs),
      })
      .where(key);
  }
  return true;
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
