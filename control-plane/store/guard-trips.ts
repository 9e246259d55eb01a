import { and, desc, eq, gte, inArray, isNull, lt, sql } from 'drizzle-orm';
import type { AgentId, Digest } from '../../protocol/ids.ts';
import type { Trip } from '../../protocol/trip.ts';
import type { Reader, Transaction } from './database.ts';
import { agents, guardTrips, reports } from './schema.ts';

export type GuardTripRow = typeof guardTrips.$inferSelect;

/** A quarter: what happened to a version is asked while it serves. The record of events has it for ever. */
export const KEEP_TRIPS_MS = 90 * 86_400_000;

/** A trip that `recordedOf` did not name. */
export async function insertTrip(
  tx: Transaction,
  agentId: AgentId,
  trip: Trip,
  now: number,
): Promise<void> {
  const { id, deployment } = trip;
  await tx.insert(guardTrips).values({ id, agentId, deployment, trip, receivedAt: now });
}

/** Ids of those of an agent's trips that have a row: a report brings each again and again. */
export async function recordedOf(
  db: Reader,
  agentId: AgentId,
  trips: readonly Trip[],
): Promise<string[]> {
  const ids = trips.map(({ id }) => id);
  const rows = await db
    .select({ id: guardTrips.id })
    .from(guardTrips)
    .where(and(eq(guardTrips.agentId, agentId), inArray(guardTrips.id, ids)));
  return rows.map(({ id }) => id);
}

/** Deletes what was received before a time; how many. */
export async function deleteTrips(tx: Transaction, beforeMs: number): Promise<number> {
  const deleted = await tx.delete(guardTrips).where(lt(guardTrips.receivedAt, beforeMs));
  return deleted.rowsAffected;
}

/** What guards took back of a deployment, latest first. */
export async function tripsOf(
  db: Reader,
  deployment: string,
  limit: number,
): Promise<GuardTripRow[]> {
  return db
    .select()
    .from(guardTrips)
    .where(eq(guardTrips.deployment, deployment))
    .orderBy(desc(guardTrips.receivedAt), desc(guardTrips.id))
    .limit(limit);
}

/**
 * Whether a host that is not revoked keeps a version of a deployment out: its latest report says so, or it goes on with it for
 * want of another, which only the trip tells. A trip from before `decidedMs` is of an older decision.
 */
export async function isTakenBack(
  db: Reader,
  deployment: string,
  manifest: Digest,
  decidedMs: number,
): Promise<boolean> {
  const refused = sql`exists (
    select 1 from json_each(${reports.arms}) as arm where arm.value ->> 'manifest' = ${manifest}
      and arm.value ->> 'code' = 'guard-tripped')`;
  // Most reports are told by their text that they hold no such refusal.
  const mayBe = sql`instr(${reports.arms}, 'guard-tripped') > 0`;
  const [out] = await db
    .select({ agent: reports.agentId })
    .from(reports)
    .innerJoin(agents, eq(agents.id, reports.agentId))
    .where(and(eq(reports.deployment, deployment), isNull(agents.revokedAt), mayBe, refused))
    .limit(1);
  if (out !== undefined) return true;
  const kept = sql`${guardTrips.trip} ->> '$.outcome.kind' = 'kept' and ${guardTrips.trip} ->> 'manifest' = ${manifest}`;
  const [on] = await db
    .select({ agent: guardTrips.agentId })
    .from(guardTrips)
    .innerJoin(agents, eq(agents.id, guardTrips.agentId))
    .where(
      and(
        eq(guardTrips.deployment, deployment),
        gte(guardTrips.receivedAt, decidedMs),
        isNull(agents.revokedAt),
        kept,
      ),
    )
    .limit(1);
  return on !== undefined;
}
