import { randomBytes, timingSafeEqual } from 'node:crypto';
import { and, eq, gt, isNull } from 'drizzle-orm';
import type { AgentId, Labels } from '../../protocol/ids.ts';
import type { Transaction } from './database.ts';
import { hashSecret } from './hash.ts';
import { joinTokens } from './schema.ts';

/**
 * Ids that are tried. Of 10,000 with four bytes two are the same once in 86 times, and agents look for eight digits, so that
 * they can't be longer.
 */
const MAX_ATTEMPTS = 10;

/**
 * Makes a join token, `dlj_<id>_<secret>_<fingerprint>`. The fingerprint (first 32 hex digits of the
 * SHA-256 of the newest root) tells the new agent whom to trust before anything is pinned.
 */
export async function createJoinToken(
  tx: Transaction,
  request: {
    labels: Labels;
    createdBy: string;
    expiresAt: number;
    fingerprint: string;
    requireApproval?: boolean;
    jurisdiction?: string | null;
  },
  now: number,
  makeId: () => string = () => randomBytes(4).toString('hex'),
): Promise<{ id: string; text: string }> {
  const secret = randomBytes(32).toString('hex');
  const { labels, createdBy, expiresAt, fingerprint } = request;
  const { requireApproval = false, jurisdiction = null } = request;
  const secretHash = hashSecret(secret);
  const row = { secretHash, labels, createdBy, createdAt: now, expiresAt };
  for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt += 1) {
    const id = makeId();
    const { rowsAffected } = await tx
      .insert(joinTokens)
      .values({ id, ...row, requireApproval, jurisdiction })
      .onConflictDoNothing();
    if (rowsAffected > 0) {
      return { id, text: `dlj_${id}_${secret}_${fingerprint.slice(0, 32)}` };
    }
  }
  throw new Error(`${MAX_ATTEMPTS} ids of join tokens in a row were taken`);
}

const TOKEN = /^dlj_([0-9a-f]{8})_([0-9a-f]{64})_[0-9a-f]{32}$/;

/** What a join token gives. */
export interface Grant {
  readonly labels: Labels;
  readonly requireApproval: boolean;
  /** Null: it says nothing of where the host is. */
  readonly jurisdiction: string | null;
}

/**
 * Uses up a join token for `agent`: what it grants, or null when it is malformed, unknown, expired or
 * used. The same answer for each, so that guessing learns nothing.
 */
export async function redeemJoinToken(
  tx: Transaction,
  text: string,
  agent: AgentId,
  now: number,
): Promise<Grant | null> {
  const [, id, secret] = TOKEN.exec(text) ?? [];
  if (id === undefined || secret === undefined) return null;
  const [row] = await tx.select().from(joinTokens).where(eq(joinTokens.id, id));
  if (row === undefined) return null;
  const given = Buffer.from(hashSecret(secret));
  if (!timingSafeEqual(given, Buffer.from(row.secretHash))) return null;
  const used = await tx
    .update(joinTokens)
    .set({ usedAt: now, usedBy: agent })
    .where(and(eq(joinTokens.id, id), isNull(joinTokens.usedAt), gt(joinTokens.expiresAt, now)));
  const { labels, requireApproval, jurisdiction } = row;
  return used.rowsAffected > 0 ? { labels, requireApproval, jurisdiction } : null;
}
