import { and, eq, gte, lt, sql } from 'drizzle-orm';
import type { AgentId, Arm, BootId, Digest } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import {
  bootOf,
  cursorsOf,
  placeOf,
  putCursors,
  putRows,
  rowsOf,
  type WindowRow,
} from './telemetry-rows.ts';
import { cursors, windows } from './telemetry-schema.ts';

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
 *
 * Four statements for a group, and not for an item: what is stored is read once, folded in memory and written once. A
 * caller bounds the group: all of it is in memory, and holds up other writes.
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
  const fresh: TelemetryItem[] = [];
  for (const item of items) {
    const boot = bootOf(item);
    if (item.sequence <= (seen.get(boot)?.sequence ?? 0)) continue;
    const { agentId, sequence } = item;
    seen.set(boot, { agentId, boot: item.boot, sequence, updatedAt: now });
    fresh.push(item);
  }
  const rows = await rowsOf(tx, fresh);
  const changed = new Map<string, WindowRow>();
  for (const item of fresh) {
    const place = placeOf(item);
    const row = foldInto(rows.get(place), item, fold, now);
    (row === null ? refused : merged).push(item);
    if (row === null) continue;
    rows.set(place, row);
    changed.set(place, row);
  }
  await putCursors(tx, fresh.length === 0 ? [] : [...seen.values()]);
  await putRows(tx, [...changed.values()]);
  return { merged, refused, duplicates: items.length - fresh.length };
}

/** Highest sequence merged of one start of an agent; 0 when none. */
export async function cursorOf(db: Reader, agentId: AgentId, boot: BootId): Promise<number> {
  const [row] = await db
    .select({ sequence: cursors.sequence })
    .from(cursors)
    .where(and(eq(cursors.agentId, agentId), eq(cursors.boot, boot)));
  return row?.sequence ?? 0;
}

/** The row after the item; null: it can't be merged. */
function foldInto(
  stored: WindowRow | undefined,
  item: TelemetryItem,
  fold: Fold,
  now: number,
): WindowRow | null {
  const folded = fold(stored ?? null, item);
  if (folded === null) return null;
  const { deployment, manifest, arm, windowStartMs, agentId } = item;
  const { requests, rows, errors, body } = folded;
  return {
    ...{ deployment, manifest, arm, windowStartMs, agentId },
    ...{ requests, rows, errors, body, updatedAt: now },
    parts: (stored?.parts ?? 0) + item.windows,
    // A coarser one that begins at the same time covers more of it.
    windowMs: Math.max(stored?.windowMs ?? 0, item.windowMs),
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
