import { desc, eq } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { Trip } from '../../protocol/trip.ts';
import type { Reader, Transaction } from './database.ts';
import { guardTrips } from './schema.ts';

export type GuardTripRow = typeof guardTrips.$inferSelect;

/** Whether it is new: a report brings it again and again. */
export async function insertTrip(
  tx: Transaction,
  agentId: AgentId,
  trip: Trip,
  now: number,
): Promise<boolean> {
  const { id, deployment } = trip;
  const inserted = await tx
    .insert(guardTrips)
    .values({ id, agentId, deployment, trip, receivedAt: now })
    .onConflictDoNothing()
    .returning({ id: guardTrips.id });
  return inserted.length > 0;
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
