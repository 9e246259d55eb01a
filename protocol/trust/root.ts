import { z } from 'zod';
import { fromHex, toHex } from '../bytes.ts';
import { ProtocolError } from '../error.ts';
import { timestampSchema } from '../ids.ts';
import { MAX_ROLE_KEYS } from '../limits.ts';
import { fingerprintOf } from '../signing.ts';
import { describe } from '../wire.ts';
import { isSignedBy, type Signed } from './signed.ts';

/** A public key in hex. */
export const publicKeySchema = z.string().regex(/^[0-9a-f]{64}$/, 'a key has 64 hex digits');

export const roleSchema = z
  .object({
    keys: z.array(publicKeySchema).min(1).max(MAX_ROLE_KEYS),
    threshold: z.int().min(1).max(MAX_ROLE_KEYS),
  })
  .refine(({ keys }) => new Set(keys).size === keys.length, { message: 'a key is listed twice' })
  .refine(({ keys, threshold }) => threshold <= keys.length, {
    message: 'the threshold is higher than the number of keys',
  });
export type Role = z.infer<typeof roleSchema>;

/**
 * Who may say what. `root` keys say who has the keys, `release` keys what may run, and an `online` key, which is on the
 * control plane, what shall run now and where: it alone can't introduce a model.
 */
export const rootSchema = z.object({
  schema: z.literal(1),
  version: z.int().min(1).max(1_000_000_000),
  issuedAt: timestampSchema,
  expiresAt: timestampSchema,
  roles: z.object({
    root: roleSchema,
    release: roleSchema,
    online: roleSchema.refine(({ threshold }) => threshold === 1, {
      message: 'one online key signs alone',
    }),
  }),
});
export type Root = z.infer<typeof rootSchema>;

export function encodeRoot(root: Root): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(rootSchema.parse(root)));
}

/** What it says, without a look at its signatures. Throws `ProtocolError` 'trust'. */
export function readRoot({ payload }: Signed): Root {
  return readStatement('root', rootSchema, payload);
}

/** Parses the JSON of a statement. Throws `ProtocolError` 'trust'. */
export function readStatement<T>(what: string, schema: z.ZodType<T>, payload: Uint8Array): T {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(payload));
  } catch (cause) {
    throw new ProtocolError('trust', `a ${what} of ${payload.length} bytes is not JSON`, { cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new ProtocolError('trust', `the ${what} is invalid: ${describe(parsed.error)}`);
}

/** SHA-256 of a root's bytes in hex: what a join token pins. */
export function rootFingerprint({ payload }: Signed): Promise<string> {
  return fingerprintOf(payload);
}

export function keysOf({ keys, threshold }: Role) {
  return { keys: keys.map(fromHex), threshold };
}

export function hasKey({ keys }: Role, key: Uint8Array): boolean {
  return keys.includes(toHex(key));
}

/** A root that is trusted for another reason than its signatures: they must be its own all the same. */
export async function verifyAnchor(signed: Signed): Promise<Root> {
  const root = readRoot(signed);
  await requireSigned(signed, root, `root ${root.version} is not signed by its own root keys`);
  return root;
}

/** The root after `current`: signed by the root keys of both. Throws `ProtocolError` 'trust'. */
export async function verifyNext(current: Root, signed: Signed): Promise<Root> {
  const next = readRoot(signed);
  if (next.version !== current.version + 1) {
    throw new ProtocolError(
      'trust',
      `root ${next.version} does not follow root ${current.version}`,
    );
  }
  const by = `root ${next.version} is not signed by the root keys of`;
  await requireSigned(signed, current, `${by} root ${current.version}`);
  await requireSigned(signed, next, `${by} its own`);
  return next;
}

/** The newest root that a chain leads to from `anchor`; those before it are passed over. Throws `ProtocolError` 'trust'. */
export async function followRoots(
  anchor: { readonly root: Root; readonly signed: Signed },
  chain: readonly Signed[],
): Promise<{ readonly root: Root; readonly signed: Signed }> {
  let newest = anchor;
  for (const signed of chain) {
    if (readRoot(signed).version <= newest.root.version) continue;
    newest = { root: await verifyNext(newest.root, signed), signed };
  }
  return newest;
}

async function requireSigned(signed: Signed, by: Root, told: string): Promise<void> {
  const role = keysOf(by.roles.root);
  if (await isSignedBy('root', signed, role)) return;
  throw new ProtocolError('trust', `${told}: ${role.threshold} of ${role.keys.length} are needed`);
}
