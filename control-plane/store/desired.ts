import { eq } from 'drizzle-orm';
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

/** Puts a newly signed document in force for its agent. */
export async function putDesired(tx: Transaction, row: DesiredRow): Promise<void> {
  const { agentId: _, ...change } = row;
  await tx.insert(desired).values(row).onConflictDoUpdate({ target: desired.agentId, set: change });
}

export async function findDesired(db: Reader, agentId: AgentId): Promise<DesiredRow | null> {
  const [row] = await db.select().from(desired).where(eq(desired.agentId, agentId));
  return row ?? null;
}

export async function allDesired(db: Reader): Promise<DesiredRow[]> {
  return db.select().from(desired);
}

/** The document of an agent that is out of service: nobody may follow it, and nothing be downloaded by it. */
export async function deleteDesired(tx: Transaction, agentId: AgentId): Promise<void> {
  await tx.delete(desired).where(eq(desired.agentId, agentId));
}
