import { asc, eq } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import type { Signed } from '../../protocol/trust/signed.ts';
import type { Reader, Transaction } from './database.ts';
import { releases, roots, type StoredSignature, versions } from './schema.ts';

/** Roots and releases as they are kept. What they are worth, `trust/` says. */

export async function allRoots(db: Reader): Promise<Signed[]> {
  return (await db.select().from(roots).orderBy(asc(roots.version))).map(signedOf);
}

export async function insertRoot(
  tx: Transaction,
  version: number,
  signed: Signed,
  now: number,
): Promise<void> {
  const { payload } = signed;
  await tx.insert(roots).values({ version, payload, signatures: storedOf(signed), createdAt: now });
}

export async function allReleases(db: Reader): Promise<Map<Digest, Signed>> {
  const rows = await db.select().from(releases);
  return new Map(rows.map((row) => [row.manifest, signedOf(row)]));
}

/** What is signed of a version so far, perhaps by too few. */
export async function findRelease(db: Reader, manifest: Digest): Promise<Signed | null> {
  const [row] = await db.select().from(releases).where(eq(releases.manifest, manifest));
  return row === undefined ? null : signedOf(row);
}

/** Keeps a release, and whether its version still waits for signatures. */
export async function putRelease(
  tx: Transaction,
  manifest: Digest,
  signed: Signed,
  complete: boolean,
  now: number,
): Promise<void> {
  const row = { payload: signed.payload, signatures: storedOf(signed), updatedAt: now };
  await tx
    .insert(releases)
    .values({ manifest, ...row })
    .onConflictDoUpdate({ target: releases.manifest, set: row });
  await setAwaitsRelease(tx, manifest, !complete);
}

export async function setAwaitsRelease(
  tx: Transaction,
  manifest: Digest,
  awaitsRelease: boolean,
): Promise<void> {
  await tx.update(versions).set({ awaitsRelease }).where(eq(versions.manifest, manifest));
}

function storedOf({ signatures }: Signed): StoredSignature[] {
  return signatures.map(({ keyId, signature }) => ({
    keyId,
    signature: Buffer.from(signature).toString('hex'),
  }));
}

function signedOf(row: { payload: Uint8Array; signatures: readonly StoredSignature[] }): Signed {
  return {
    payload: new Uint8Array(row.payload),
    signatures: row.signatures.map(({ keyId, signature }) => ({
      keyId,
      signature: new Uint8Array(Buffer.from(signature, 'hex')),
    })),
  };
}
