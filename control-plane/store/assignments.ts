import { sql } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
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

/** Those of the pairs that a document of the agent names or named. */
export async function assignedAmong(
  db: Reader,
  pairs: readonly Assignment[],
): Promise<Assignment[]> {
  const wanted = JSON.stringify(pairs.map(({ agentId, deployment }) => [agentId, deployment]));
  return db
    .select()
    .from(assignments)
    .where(
      sql`(${assignments.agentId}, ${assignments.deployment}) in (select value ->> 0, value ->> 1 from json_each(${wanted}))`,
    );
}

/** Whether a document of this agent names or named the deployment. */
export async function isAssigned(
  db: Reader,
  agentId: AgentId,
  deployment: string,
): Promise<boolean> {
  return (await assignedAmong(db, [{ agentId, deployment }])).length > 0;
}
