import { and, desc, eq, isNull } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { rollouts } from './schema.ts';

export type RolloutRow = typeof rollouts.$inferSelect;

/** Fails on the unique index when the deployment has a live rollout: ask `findLiveRollout` first. */
export async function insertRollout(tx: Transaction, row: RolloutRow): Promise<void> {
  await tx.insert(rollouts).values(row);
}

/** `finishedAt` set ends the rollout and lets the deployment have another. */
export async function updateRollout(
  tx: Transaction,
  id: string,
  change: Pick<RolloutRow, 'state' | 'updatedAt' | 'finishedAt'>,
): Promise<void> {
  await tx.update(rollouts).set(change).where(eq(rollouts.id, id));
}

export async function findRollout(db: Reader, id: string): Promise<RolloutRow | null> {
  const [row] = await db.select().from(rollouts).where(eq(rollouts.id, id));
  return row ?? null;
}

export async function findLiveRollout(db: Reader, deployment: string): Promise<RolloutRow | null> {
  const [row] = await db
    .select()
    .from(rollouts)
    .where(and(eq(rollouts.deployment, deployment), isNull(rollouts.finishedAt)));
  return row ?? null;
}

export async function liveRollouts(db: Reader): Promise<RolloutRow[]> {
  return db.select().from(rollouts).where(isNull(rollouts.finishedAt));
}

/** The newest rollout of a deployment, live or ended. */
export async function latestRollout(db: Reader, deployment: string): Promise<RolloutRow | null> {
  const [row] = await db
    .select()
    .from(rollouts)
    .where(eq(rollouts.deployment, deployment))
    .orderBy(desc(rollouts.createdAt))
    .limit(1);
  return row ?? null;
}
