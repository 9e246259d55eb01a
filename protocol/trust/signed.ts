import { z } from 'zod';
import { bytesSchema, toHex } from '../bytes.ts';
import { MAX_ROLE_KEYS, MAX_STATEMENT_BYTES } from '../limits.ts';
import { inDomain, keyIdSchema, type SigningKey, signBytes, verifyBytes } from '../signing.ts';

/** A statement with the signatures of several keys: roots and releases. */
export const signedSchema = z.object({
  payload: bytesSchema(MAX_STATEMENT_BYTES),
  signatures: z
    .array(z.object({ keyId: keyIdSchema, signature: bytesSchema(64, true) }))
    // A root is signed by the thresholds of two.
    .max(2 * MAX_ROLE_KEYS),
});
export type Signed = z.infer<typeof signedSchema>;

export type StatementDomain = 'root' | 'release';

/** The statement with the signatures of `keys` beside those that it has. */
export async function addSignatures(
  domain: StatementDomain,
  signed: Signed,
  keys: readonly SigningKey[],
): Promise<Signed> {
  const { payload } = signed;
  const signatures = signed.signatures.filter(
    ({ keyId }) => !keys.some((key) => key.keyId === keyId),
  );
  for (const key of keys) {
    signatures.push({
      keyId: key.keyId,
      signature: await signBytes(key, inDomain(domain, payload)),
    });
  }
  return { payload, signatures };
}

/**
 * Whether at least `threshold` different keys of these signed it. Key ids only say which key to try: a signature counts
 * for the key that verifies it, and a key counts once.
 */
export async function isSignedBy(
  domain: StatementDomain,
  { payload, signatures }: Signed,
  role: { readonly keys: readonly Uint8Array[]; readonly threshold: number },
): Promise<boolean> {
  const message = inDomain(domain, payload);
  const good = new Set<string>();
  for (const key of role.keys) {
    for (const { signature } of signatures) {
      if (good.has(toHex(key))) break;
      if (await verifyBytes(key, message, signature)) good.add(toHex(key));
    }
  }
  return good.size >= role.threshold;
}
