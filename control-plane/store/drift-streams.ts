import { and, eq } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { driftStreams } from './schema.ts';

export type DriftStreamRow = typeof driftStreams.$inferSelect;

export async function putDriftStream(tx: Transaction, row: DriftStreamRow): Promise<void> {
  const { state, updatedAt } = row;
  await tx
    .insert(driftStreams)
    .values(row)
    .onConflictDoUpdate({
      target: [driftStreams.deployment, driftStreams.manifest, driftStreams.stream],
      set: { state, updatedAt },
    });
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
