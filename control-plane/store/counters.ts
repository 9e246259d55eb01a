import { eq, sql } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { counters } from './schema.ts';

const GENERATION = 'generation';

/** The next generation of the fleet: larger than any before, across restarts. */
export function nextGeneration(tx: Transaction): Promise<number> {
  return nextGenerations(tx, 1);
}

/** The first of `count` generations in a row. */
export async function nextGenerations(tx: Transaction, count: number): Promise<number> {
  const [row] = await tx
    .insert(counters)
    .values({ name: GENERATION, value: count })
    .onConflictDoUpdate({
      target: counters.name,
      set: { value: sql`${counters.value} + ${count}` },
    })
    .returning({ value: counters.value });
  if (row === undefined) throw new Error('the database returned no generation');
  return row.value - count + 1;
}

/**
 * No generation below `least` is given out from now on. At each start `least` is the clock, in milliseconds: a database
 * that was put back from a backup would else give numbers that hosts have seen, and refuse. It holds as long as a
 * control plane gives out fewer than a thousand documents a second over its whole life.
 */
export async function raiseGeneration(tx: Transaction, least: number): Promise<void> {
  await tx
    .insert(counters)
    .values({ name: GENERATION, value: least })
    .onConflictDoUpdate({
      target: counters.name,
      set: { value: sql`max(${counters.value}, ${least})` },
    });
}

/** The newest generation given out, 0 when none. */
export async function currentGeneration(db: Reader): Promise<number> {
  const [row] = await db.select().from(counters).where(eq(counters.name, GENERATION));
  return row?.value ?? 0;
}
