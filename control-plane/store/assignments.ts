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

/** Those of the pairs that documents name or named. */
export async function assignedOf(db: Reader, pairs: readonly Assignment[]): Promise<Assignment[]> {
  if (pairs.length === 0) return [];
  const keys = pairs.map(({ agentId, deployment }) => [agentId, deployment]);
  const { rows } = await db.run(sql`
    select json_group_array(json_array(at.agent_id, at.deployment)) as found
    from json_each(${JSON.stringify(keys)}) as key cross join ${assignments} as at
    on at.agent_id = key.value ->> 0 and at.deployment = key.value ->> 1`);
  const found = JSON.parse(String(rows[0]?.found)) as [string, string][];
  return found.map(([agentId, deployment]) => ({ agentId, deployment }));
}
