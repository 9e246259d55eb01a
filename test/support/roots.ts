import { roleOf } from '../../control-plane/trust/ceremony.ts';
import { generateSigningKey, type SigningKey } from '../../protocol/signing.ts';
import { encodeRelease, type Release } from '../../protocol/trust/release.ts';
import { encodeRoot, type Role, type Root } from '../../protocol/trust/root.ts';
import { addSignatures, type Signed } from '../../protocol/trust/signed.ts';

/** Keys of each role, and what they sign. What an attacker has, a test hands over. */
export interface Keys {
  readonly root: SigningKey;
  readonly release: SigningKey;
  readonly online: SigningKey;
}

export async function newKey(): Promise<SigningKey> {
  return (await generateSigningKey()).key;
}

export async function newKeys(): Promise<Keys> {
  return { root: await newKey(), release: await newKey(), online: await newKey() };
}

const FAR = 4_000_000_000_000;

export async function signRoot(
  { root, release, online }: Keys,
  change: Partial<Omit<Root, 'roles'>> & { readonly roles?: Partial<Root['roles']> } = {},
  signers: readonly SigningKey[] = [root],
): Promise<Signed> {
  const roles: Record<'root' | 'release' | 'online', Role> = {
    ...{ root: roleOf([root]), release: roleOf([release]), online: roleOf([online]) },
    ...change.roles,
  };
  const document: Root = { schema: 1, version: 1, issuedAt: 0, expiresAt: FAR, ...change, roles };
  return addSignatures('root', { payload: encodeRoot(document), signatures: [] }, signers);
}

export function signRelease(
  keys: readonly SigningKey[],
  release: Omit<Release, 'schema' | 'issuedAt'>,
): Promise<Signed> {
  const payload = encodeRelease({ schema: 1, issuedAt: 0, ...release });
  return addSignatures('release', { payload, signatures: [] }, keys);
}
