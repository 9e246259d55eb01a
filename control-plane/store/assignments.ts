import { sql } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { assignments } from './schema.ts';

export type Assignment = typeof assignments.$inferSelect;

/** Notes which deployments documents name. Nothing is ever taken away: windows may come days later. */
export async function insertAssignments(
  tx: Transaction,
  rows: readonly Assignment[],
): Promise<void> {
  const pairs = rows.map(({ agentId, deployment }) => [agentId, deployment]);
  await tx.run(sql`
    insert or ignore into ${assignments} (agent_id, deployment)
    select value ->> 0, value ->> 1 from json_each(${JSON.stringify(pairs)})`);
}

/** Those of the pairs that documents name or named. At most 5,000 of them: two values each, far below SQLite's 32,766. */
export async function assignedOf(db: Reader, pairs: readonly Assignment[]): Promise<Assignment[]> {
  if (pairs.length === 0) return [];
  const keys = pairs.map(({ agentId, deployment }) => sql`(${agentId}, ${deployment})`);
  const key = sql`(${assignments.agentId}, ${assignments.deployment})`;
  return db
    .select()
    .from(assignments)
    .where(sql`${key} in (values ${sql.join(keys, sql`, `)})`);
}
