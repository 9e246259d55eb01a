import { sql } from 'drizzle-orm';
import type { Transaction } from './database.ts';
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
  const keys = places.map(
    ({ deployment, manifest, arm, windowStartMs, agentId }) =>
      sql`(${deployment}, ${manifest}, ${arm}, ${windowStartMs}, ${agentId})`,
  );
  const key = sql`(${windows.deployment}, ${windows.manifest}, ${windows.arm}, ${windows.windowStartMs}, ${windows.agentId})`;
  const found = await tx
    .select()
    .from(windows)
    .where(sql`${key} in (values ${sql.join(keys, sql`, `)})`);
  return new Map(found.map((row) => [placeOf(row), row]));
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
