import type { Transaction } from './database.ts';
import { artifacts } from './schema.ts';

export type ArtifactRow = typeof artifacts.$inferSelect;

/** Notes a verified file; false when it was there already. */
export async function insertArtifact(tx: Transaction, row: ArtifactRow): Promise<boolean> {
  const added = await tx.insert(artifacts).values(row).onConflictDoNothing();
  return added.rowsAffected > 0;
}
