import { and, desc, eq, inArray, lt } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { Trip } from '../../protocol/trip.ts';
import type { Reader, Transaction } from './database.ts';
import { guardTrips } from './schema.ts';

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
