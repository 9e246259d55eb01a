import { sql } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { cursors, windows } from './telemetry-schema.ts';

/** Reads and writes the rows of a group of windows, each in one statement. A caller bounds the group. */

export type WindowRow = typeof windows.$inferSelect;
/** How far a start of an agent has come. */
export type Cursor = typeof cursors.$inferSelect;

type Boot = Pick<Cursor, 'agentId' | 'boot'>;
type Place = Pick<WindowRow, 'deployment' | 'manifest' | 'arm' | 'windowStartMs' | 'agentId'>;

export async function cursorsOf(
  tx: Transaction,
  items: readonly Boot[],
): Promise<Map<string, Cursor>> {
  const boots = [...new Map(items.map((item) => [bootOf(item), item])).values()];
  if (boots.length === 0) return new Map();
  const keys = boots.map(({ agentId, boot }) => sql`(${agentId}, ${boot})`);
  const found = await tx
    .select()
    .from(cursors)
    .where(sql`(${cursors.agentId}, ${cursors.boot}) in (values ${sql.join(keys, sql`, `)})`);
  return new Map(found.map((cursor) => [bootOf(cursor), cursor]));
}

export async function putCursors(tx: Transaction, rows: readonly Cursor[]): Promise<void> {
  if (rows.length === 0) return;
  await tx
    .insert(cursors)
    .values([...rows])
    .onConflictDoUpdate({
      target: [cursors.agentId, cursors.boot],
      set: { sequence: sql`excluded.sequence`, updatedAt: sql`excluded.updated_at` },
    });
}

export async function rowsOf(
  tx: Transaction,
  items: readonly Place[],
): Promise<Map<string, WindowRow>> {
  const places = [...new Map(items.map((item) => [placeOf(item), item])).values()];
  if (places.length === 0) return new Map();
  const found = await rowsAt(tx, places);
  return new Map(found.map((row) => [placeOf(row), row]));
}

/**
 * The query for the rows of places. Joined from the places, in this order: of `(…) in (values …)` SQLite would use three of
 * the index's five columns, and read every window that a version ever had.
 */
export function rowsAt(db: Reader, places: readonly Place[]) {
  const keys = places.map(
    ({ deployment, manifest, arm, windowStartMs, agentId }) =>
      sql`(${deployment}, ${manifest}, ${arm}, ${windowStartMs}, ${agentId})`,
  );
  const wanted = sql`with wanted(deployment, manifest, arm, start, agent) as (values ${sql.join(keys, sql`, `)})
    select at.rowid from wanted cross join ${windows} as at
    on at.deployment = wanted.deployment and at.manifest = wanted.manifest and at.arm = wanted.arm
    and at.window_start_ms = wanted.start and at.agent_id = wanted.agent`;
  return db.select().from(windows).where(sql`${windows}.rowid in (${wanted})`);
}

export async function putRows(tx: Transaction, rows: readonly WindowRow[]): Promise<void> {
  if (rows.length === 0) return;
  await tx
    .insert(windows)
    .values([...rows])
    .onConflictDoUpdate({
      target: [
        windows.deployment,
        windows.manifest,
        windows.arm,
        windows.windowStartMs,
        windows.agentId,
      ],
      set: {
        windowMs: sql`excluded.window_ms`,
        parts: sql`excluded.parts`,
        requests: sql`excluded.requests`,
        rows: sql`excluded.rows`,
        errors: sql`excluded.errors`,
        body: sql`excluded.body`,
        updatedAt: sql`excluded.updated_at`,
      },
    });
}

/** Texts that differ where the keys do: names of deployments and arms hold no space. */
export function bootOf({ agentId, boot }: Boot): string {
  return `${agentId} ${boot}`;
}

export function placeOf({ deployment, manifest, arm, windowStartMs, agentId }: Place): string {
  return `${deployment} ${manifest} ${arm} ${windowStartMs} ${agentId}`;
}
