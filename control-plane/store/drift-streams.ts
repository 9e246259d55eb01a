import { and, eq, sql } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { driftStreams } from './telemetry-schema.ts';

export type DriftStreamRow = typeof driftStreams.$inferSelect;

/** One statement for all, whose text is always the same (see `telemetry-rows.ts`). */
export async function putDriftStreams(
  tx: Transaction,
  rows: readonly DriftStreamRow[],
): Promise<void> {
  if (rows.length === 0) return;
  const values = rows.map(({ deployment, manifest, stream, state, updatedAt }) => [
    ...[deployment, manifest, stream, JSON.stringify(state), updatedAt],
  ]);
  await tx.run(sql`
    insert into ${driftStreams} (deployment, manifest, stream, state, updated_at)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4 from json_each(${JSON.stringify(values)}) where true
    on conflict (deployment, manifest, stream) do update set state = excluded.state, updated_at = excluded.updated_at`);
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
