import { eq, getTableColumns, sql } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { Envelope } from '../../protocol/signing.ts';
import type { Inclusion } from '../../protocol/trust/inclusion.ts';
import type { Reader, Transaction } from './database.ts';
import { desired } from './schema.ts';

export type DesiredRow = typeof desired.$inferSelect;

export function storedInclusion(inclusion: Inclusion | undefined): DesiredRow['inclusion'] {
  if (inclusion === undefined) return null;
  return { ...inclusion, path: Buffer.from(inclusion.path).toString('base64') };
}

/** The envelope as it travels. */
export function envelopeOf(row: DesiredRow): Envelope {
  const { keyId, inclusion } = row;
  const envelope = {
    payload: new Uint8Array(row.payload),
    keyId,
    signature: new Uint8Array(row.signature),
  };
  if (inclusion === null) return envelope;
  const path = new Uint8Array(Buffer.from(inclusion.path, 'base64'));
  return { ...envelope, inclusion: { ...inclusion, path } };
}

/** Rows of one statement: eleven values each, and a few KB. */
const ROWS_PER_INSERT = 500;

/** Puts newly signed documents in force for their agents. */
export async function putDesired(tx: Transaction, rows: readonly DesiredRow[]): Promise<void> {
  const { agentId: _, ...columns } = getTableColumns(desired);
  const set = Object.fromEntries(
    Object.entries(columns).map(([key, column]) => [key, sql.raw(`excluded."${column.name}"`)]),
  );
  for (let from = 0; from < rows.length; from += ROWS_PER_INSERT) {
    await tx
      .insert(desired)
      .values(rows.slice(from, from + ROWS_PER_INSERT))
      .onConflictDoUpdate({ target: desired.agentId, set });
  }
}

export async function findDesired(db: Reader, agentId: AgentId): Promise<DesiredRow | null> {
  const [row] = await db.select().from(desired).where(eq(desired.agentId, agentId));
  return row ?? null;
}

/** What tells whether a document still holds, without its bytes. */
export type DesiredStamp = Pick<
  DesiredRow,
  'agentId' | 'generation' | 'contentHash' | 'keyId' | 'issuedAt' | 'createdAt'
>;

export async function allDesiredStamps(db: Reader): Promise<DesiredStamp[]> {
  const { agentId, generation, contentHash, keyId, issuedAt, createdAt } = desired;
  return db.select({ agentId, generation, contentHash, keyId, issuedAt, createdAt }).from(desired);
}

/** The document of an agent that is out of service: nobody may follow it, and nothing be downloaded by it. */
export async function deleteDesired(tx: Transaction, agentId: AgentId): Promise<void> {
  await tx.delete(desired).where(eq(desired.agentId, agentId));
}
