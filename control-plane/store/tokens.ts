import { randomBytes } from 'node:crypto';
import { and, eq, isNull } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { hashSecret } from './hash.ts';
import { type roles, tokens } from './schema.ts';

export type Role = (typeof roles)[number];

export interface Token {
  readonly id: string;
  readonly name: string;
  readonly role: Role;
}

/** Makes a bearer token. Its text is returned here and nowhere else. */
export async function createToken(
  tx: Transaction,
  name: string,
  role: Role,
  now: number,
): Promise<{ token: Token; text: string }> {
  const id = `tok_${randomBytes(8).toString('hex')}`;
  const text = `dlt_${randomBytes(32).toString('base64url')}`;
  await tx.insert(tokens).values({ id, name, role, hash: hashSecret(text), createdAt: now });
  return { token: { id, name, role }, text };
}

/** The token of this hash, unless it was revoked. The stored hash comes along to be compared. */
export async function findTokenByHash(
  db: Reader,
  hash: string,
): Promise<(Token & { hash: string }) | null> {
  const [row] = await db
    .select({ id: tokens.id, name: tokens.name, role: tokens.role, hash: tokens.hash })
    .from(tokens)
    .where(and(eq(tokens.hash, hash), isNull(tokens.revokedAt)));
  return row ?? null;
}

export async function hasTokens(db: Reader): Promise<boolean> {
  const rows = await db.select({ id: tokens.id }).from(tokens).limit(1);
  return rows.length > 0;
}

/** Revokes a token; false when there is none of this id in force. */
export async function revokeToken(tx: Transaction, id: string, now: number): Promise<boolean> {
  const revoked = await tx
    .update(tokens)
    .set({ revokedAt: now })
    .where(and(eq(tokens.id, id), isNull(tokens.revokedAt)));
  return revoked.rowsAffected > 0;
}
