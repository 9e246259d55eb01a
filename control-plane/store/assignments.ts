import { sql } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { assignments } from './schema.ts';

export type Assignment = typeof assignments.$inferSelect;

/** Rows of one statement: two values each, far below SQLite's 32,766. */
const ROWS_PER_INSERT = 5000;

/** Notes which deployments documents name. Nothing is ever taken away: windows may come days later. */
export async function insertAssignments(
  tx: Transaction,
  rows: readonly Assignment[],
): Promise<void> {
  for (let at = 0; at < rows.length; at += ROWS_PER_INSERT) {
    const some = rows.slice(at, at + ROWS_PER_INSERT);
    await tx.insert(assignments).values(some).onConflictDoNothing();
  }
}

/** Those of the pairs that documents name or named. At most `ROWS_PER_INSERT` of them. */
export async function assignedOf(db: Reader, pairs: readonly Assignment[]): Promise<Assignment[]> {
  if (pairs.length === 0) return [];
  const keys = pairs.map(({ agentId, deployment }) => sql`(${agentId}, ${deployment})`);
  const key = sql`(${assignments.agentId}, ${assignments.deployment})`;
  return db
    .select()
    .from(assignments)
    .where(sql`${key} in (values ${sql.join(keys, sql`, `)})`);
}
