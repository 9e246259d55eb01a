import { sql } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { cursors, windows } from './telemetry-schema.ts';

/**
 * Reads and writes the rows of a group of windows, each in one statement whose text is always the same: with a value of its
 * own for each column of each row, building the statement took longer than carrying it out. A caller bounds the group.
 */

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
  const keys = JSON.stringify(boots.map(({ agentId, boot }) => [agentId, boot]));
  const { rows } = await tx.run(sql`
    select json_group_array(json_array(at.agent_id, at.boot, at.sequence, at.updated_at)) as found
    from json_each(${keys}) as key cross join ${cursors} as at
    on at.agent_id = key.value ->> 0 and at.boot = key.value ->> 1`);
  const found = JSON.parse(String(rows[0]?.found)) as [string, string, number, number][];
  return new Map(
    found.map(([agentId, boot, sequence, updatedAt]) => {
      const cursor: Cursor = { agentId, boot, sequence, updatedAt };
      return [bootOf(cursor), cursor];
    }),
  );
}

export async function putCursors(tx: Transaction, rows: readonly Cursor[]): Promise<void> {
  if (rows.length === 0) return;
  const values = rows.map(({ agentId, boot, sequence, updatedAt }) => [
    ...[agentId, boot, sequence, updatedAt],
  ]);
  await tx.run(sql`
    insert into ${cursors} (agent_id, boot, sequence, updated_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3 from json_each(${JSON.stringify(values)}) where true
    on conflict (agent_id, boot) do update set sequence = excluded.sequence, updated_at = excluded.updated_at`);
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
  const keys = places.map(({ deployment, manifest, arm, windowStartMs, agentId }) => [
    ...[deployment, manifest, arm, windowStartMs, agentId],
  ]);
  const wanted = sql`select at.rowid from json_each(${JSON.stringify(keys)}) as key cross join ${windows} as at
    on at.deployment = key.value ->> 0 and at.manifest = key.value ->> 1 and at.arm = key.value ->> 2
    and at.window_start_ms = key.value ->> 3 and at.agent_id = key.value ->> 4`;
  return db.select().from(windows).where(sql`${windows}.rowid in (${wanted})`);
}

export async function putRows(tx: Transaction, rows: readonly WindowRow[]): Promise<void> {
  if (rows.length === 0) return;
  let end = 0;
  const values = rows.map((row) => {
    const { deployment, manifest, arm, windowStartMs, windowMs, agentId, parts, body } = row;
    const begin = end + 1;
    end += body.length;
    const place = [deployment, manifest, arm, windowStartMs, windowMs, agentId, parts];
    return [...place, row.requests, row.rows, row.errors, begin, body.length, row.updatedAt];
  });
  // One piece of memory for all of them; the text says where each begins.
  const bodies = Buffer.concat(rows.map(({ body }) => body));
  await tx.run(sql`
    insert into ${windows}
      (deployment, manifest, arm, window_start_ms, window_ms, agent_id, parts, requests, rows, errors, body, updated_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5, value ->> 6, value ->> 7,
      value ->> 8, value ->> 9, substr(${bodies}, value ->> 10, value ->> 11), value ->> 12
    from json_each(${JSON.stringify(values)}) where true
    on conflict (deployment, manifest, arm, window_start_ms, agent_id) do update set
      window_ms = excluded.window_ms, parts = excluded.parts, requests = excluded.requests, rows = excluded.rows,
      errors = excluded.errors, body = excluded.body, updated_at = excluded.updated_at`);
}

/** Texts that differ where the keys do: names of deployments and arms hold no space. */
export function bootOf({ agentId, boot }: Boot): string {
  return `${agentId} ${boot}`;
}

export function placeOf({ deployment, manifest, arm, windowStartMs, agentId }: Place): string {
  return `${deployment} ${manifest} ${arm} ${windowStartMs} ${agentId}`;
}
