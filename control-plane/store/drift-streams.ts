import { and, eq, sql } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { driftStreams } from './telemetry-schema.ts';

export type DriftStreamRow = typeof driftStreams.$inferSelect;

/** Rows of one statement: 5 values each, and SQLite takes 32,766. */
const ROWS_A_STATEMENT = 200;

export async function putDriftStreams(
  tx: Transaction,
  rows: readonly DriftStreamRow[],
): Promise<void> {
  for (let from = 0; from < rows.length; from += ROWS_A_STATEMENT) {
    await tx
      .insert(driftStreams)
      .values(rows.slice(from, from + ROWS_A_STATEMENT))
      .onConflictDoUpdate({
        target: [driftStreams.deployment, driftStreams.manifest, driftStreams.stream],
        set: { state: sql`excluded.state`, updatedAt: sql`excluded.updated_at` },
      });
  }
}

/** All streams of one version of a deployment, by key. */
export async function driftStreamsOf(
  db: Reader,
  deployment: string,
  manifest: Digest,
): Promise<DriftStreamRow[]> {
  return db
    .select()
    .from(driftStreams)
    .where(and(eq(driftStreams.deployment, deployment), eq(driftStreams.manifest, manifest)))
    .orderBy(driftStreams.stream);
}
