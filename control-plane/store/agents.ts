import { and, eq, gt, gte, inArray, isNotNull, isNull, lt, sql } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { type Page, pageOf } from './page.ts';
import { agents } from './schema.ts';

export type AgentRow = typeof agents.$inferSelect;

export type NewAgent = Pick<
  AgentRow,
  'id' | 'name' | 'publicKey' | 'labels' | 'serving' | 'capabilities'
> & {
  readonly protocol?: number;
  /** Default: let in at once. */
  readonly approvedAt?: number | null;
  readonly jurisdiction?: string | null;
};

export async function insertAgent(
  tx: Transaction,
  agent: NewAgent,
  now: number,
): Promise<AgentRow> {
  const [row] = await tx
    .insert(agents)
    .values({
      approvedAt: now,
      ...agent,
      joinedAt: now,
      lastSeenAt: now,
      observedGeneration: 0,
      appliedGeneration: 0,
    })
    .returning();
  return row;
}

/** What a hello tells anew of an agent that is known. */
export async function updateAgentSeen(
  tx: Transaction,
  id: AgentId,
  seen: Partial<Pick<AgentRow, 'serving' | 'capabilities' | 'protocol'>>,
  now: number,
): Promise<void> {
  await tx
    .update(agents)
    .set({ ...seen, lastSeenAt: now })
    .where(eq(agents.id, id));
}

/** Those have been heard of; what they tell of themselves is what is known. */
export async function touchAgents(
  tx: Transaction,
  ids: readonly AgentId[],
  now: number,
): Promise<void> {
  await tx.run(sql`
    update ${agents} set last_seen_at = ${now}
    where id in (select value from json_each(${JSON.stringify(ids)}))`);
}

/**
 * Their links ended at these times. Never back: what a host said last may be written after its link has ended, and a clock
 * may have been set. One statement: a fleet may go at once.
 */
export async function markLeft(tx: Transaction, left: ReadonlyMap<AgentId, number>): Promise<void> {
  await tx.run(sql`
    update ${agents} set last_seen_at = max(last_seen_at, gone.at)
    from (
      select value ->> 0 as id, value ->> 1 as at from json_each(${JSON.stringify([...left])})
    ) as gone
    where agents.id = gone.id`);
}

/** Whether it gets documents and may send anything. */
export function inService(agent: Pick<AgentRow, 'approvedAt' | 'revokedAt'>): boolean {
  return agent.approvedAt !== null && agent.revokedAt === null;
}

export async function countInService(db: Reader): Promise<number> {
  const inForce = and(isNotNull(agents.approvedAt), isNull(agents.revokedAt));
  const [{ count }] = await db.select({ count: sql<number>`count(*)` }).from(agents).where(inForce);
  return count;
}

/** What operators decide of an agent, and the key that a former one handed over to. */
export async function updateAgent(
  tx: Transaction,
  id: AgentId,
  change: Partial<
    Pick<AgentRow, 'approvedAt' | 'revokedAt' | 'labels' | 'publicKey' | 'jurisdiction'>
  >,
): Promise<void> {
  await tx.update(agents).set(change).where(eq(agents.id, id));
}

export async function findAgent(db: Reader, id: AgentId): Promise<AgentRow | null> {
  const [row] = await db.select().from(agents).where(eq(agents.id, id));
  return row ?? null;
}

/** Whether those of the agents are in service, and where they are. */
export async function standingOf(
  db: Reader,
  ids: readonly AgentId[],
): Promise<Map<AgentId, Pick<AgentRow, 'revokedAt' | 'jurisdiction'>>> {
  const { rows } = await db.run(sql`
    select json_group_array(json_array(id, revoked_at, jurisdiction)) as found
    from ${agents} where id in (select value from json_each(${JSON.stringify(ids)}))`);
  const found = JSON.parse(String(rows[0]?.found)) as [AgentId, number | null, string | null][];
  return new Map(found.map(([id, revokedAt, jurisdiction]) => [id, { revokedAt, jurisdiction }]));
}

/** Those whose ids begin with these hex digits, as decision ids do: at most two. */
export async function agentsTagged(db: Reader, tag: string): Promise<AgentRow[]> {
  // "g" comes right after the last hex digit.
  const within = and(gte(agents.id, `agt_${tag}`), lt(agents.id, `agt_${tag}g`));
  return db.select().from(agents).where(within).limit(2);
}

export async function findAgentByKey(db: Reader, publicKey: Uint8Array): Promise<AgentRow | null> {
  const [row] = await db.select().from(agents).where(eq(agents.publicKey, publicKey));
  return row ?? null;
}

/** Of these agents. */
export async function namesOf(
  db: Reader,
  ids: readonly AgentId[],
): Promise<ReadonlyMap<AgentId, string>> {
  const { id, name } = agents;
  const rows = await db
    .select({ id, name })
    .from(agents)
    .where(inArray(id, [...ids]));
  return new Map(rows.map((row) => [row.id, row.name]));
}

/** All agents, in the order of their ids. */
export async function allAgents(db: Reader): Promise<AgentRow[]> {
  return db.select().from(agents).orderBy(agents.id);
}

/** A page of them, or of those of one name. */
export async function listAgents(
  db: Reader,
  after: string,
  limit: number,
  name?: string | undefined,
): Promise<Page<AgentRow>> {
  const rows = await db
    .select()
    .from(agents)
    .where(and(gt(agents.id, after), name === undefined ? undefined : eq(agents.name, name)))
    .orderBy(agents.id)
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => row.id);
}
