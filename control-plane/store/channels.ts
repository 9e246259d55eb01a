import { asc, eq } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { withholdChannel } from './deliveries.ts';
import { channels } from './schema.ts';

export type ChannelRow = typeof channels.$inferSelect;

/** False when there is one of this name. */
export async function insertChannel(tx: Transaction, row: ChannelRow): Promise<boolean> {
  const made = await tx.insert(channels).values(row).onConflictDoNothing().returning();
  return made.length === 1;
}

/** Forgets a channel and what was still to be told there; false when there is none. */
export async function removeChannel(tx: Transaction, name: string, now: number): Promise<boolean> {
  const gone = await tx.delete(channels).where(eq(channels.name, name)).returning();
  await withholdChannel(tx, name, now);
  return gone.length === 1;
}

export async function findChannel(db: Reader, name: string): Promise<ChannelRow | null> {
  const [row] = await db.select().from(channels).where(eq(channels.name, name));
  return row ?? null;
}

export async function listChannels(db: Reader): Promise<ChannelRow[]> {
  return db.select().from(channels).orderBy(asc(channels.name));
}
