import { and, desc, eq, lt, notInArray } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { type Page, pageOf } from './page.ts';
import { tunings } from './schema.ts';

export type TuningRow = typeof tunings.$inferSelect;

/** A table is some kilobytes; older ones were measured of versions that are gone. */
export const KEEP_TUNINGS = 50;

/** Adds one, and drops what is older than the latest `KEEP_TUNINGS` of its deployment. */
export async function insertTuning(
  tx: Transaction,
  tuning: Omit<TuningRow, 'id'>,
): Promise<TuningRow> {
  const [row] = await tx.insert(tunings).values(tuning).returning();
  if (row === undefined) throw new Error('the database returned no tuning');
  const { deployment } = tuning;
  const kept = tx
    .select({ id: tunings.id })
    .from(tunings)
    .where(eq(tunings.deployment, deployment))
    .orderBy(desc(tunings.id))
    .limit(KEEP_TUNINGS);
  await tx
    .delete(tunings)
    .where(and(eq(tunings.deployment, deployment), notInArray(tunings.id, kept)));
  return row;
}

/** Newest first; `before` is the id of a tuning, or null to begin. */
export async function listTunings(
  db: Reader,
  deployment: string,
  before: number | null,
  limit: number,
): Promise<Page<TuningRow>> {
  const older = before === null ? undefined : lt(tunings.id, before);
  const rows = await db
    .select()
    .from(tunings)
    .where(and(eq(tunings.deployment, deployment), older))
    .orderBy(desc(tunings.id))
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => String(row.id));
}
