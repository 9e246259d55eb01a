import { eq } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { artifacts } from './schema.ts';

export type ArtifactRow = typeof artifacts.$inferSelect;

/** Notes a verified file; false when it was there already. */
export async function insertArtifact(tx: Transaction, row: ArtifactRow): Promise<boolean> {
  const added = await tx.insert(artifacts).values(row).onConflictDoNothing();
  return added.rowsAffected > 0;
}

export async function findArtifact(db: Reader, digest: Digest): Promise<ArtifactRow | null> {
  const [row] = await db.select().from(artifacts).where(eq(artifacts.digest, digest));
  return row ?? null;
}
