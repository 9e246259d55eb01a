import { toHex } from '../../protocol/bytes.ts';
import type { SigningKey } from '../../protocol/signing.ts';
import {
  encodeRoot,
  type Role,
  type Root,
  verifyAnchor,
  verifyNext,
} from '../../protocol/trust/root.ts';
import { addSignatures, type Signed } from '../../protocol/trust/signed.ts';
import { record } from '../audit/record.ts';
import type { Store } from '../store/database.ts';
import { findKey, makeKey } from '../store/signing-key.ts';
import { insertRoot } from '../store/statements.ts';

/** A root of keys that were made by themselves: whoever wants shorter ones rotates. */
export const ROOT_LIFE_MS = 10 * 365 * 86_400_000;

/** The first root of a control plane: keys of its own making for each role. */
export async function makeFirstRoot(
  store: Store,
  dataDir: string,
  online: SigningKey,
  now: number,
): Promise<Signed> {
  const root = (await findKey(dataDir, 'root')) ?? (await makeKey(dataDir, 'root'));
  const release = (await findKey(dataDir, 'release')) ?? (await makeKey(dataDir, 'release'));
  const first: Root = {
    ...{ schema: 1, version: 1, issuedAt: now, expiresAt: now + ROOT_LIFE_MS },
    roles: { root: roleOf([root]), release: roleOf([release]), online: roleOf([online]) },
  };
  const unsigned = { payload: encodeRoot(first), signatures: [] };
  const signed = await addSignatures('root', unsigned, [root]);
  await verifyAnchor(signed);
  await keepRoot(store, first, signed, now);
  return signed;
}

export interface RootChange {
  readonly root?: Role | undefined;
  readonly release?: Role | undefined;
  readonly online?: Role | undefined;
  readonly expiresAt?: number | undefined;
}

/** The root after `current`, signed by `keys`: the root keys of both. Throws `ProtocolError` 'trust' when some lack. */
export async function makeNextRoot(
  current: Root,
  change: RootChange,
  keys: readonly SigningKey[],
  now: number,
): Promise<{ readonly root: Root; readonly signed: Signed }> {
  const { root = current.roles.root, release = current.roles.release } = change;
  const { online = current.roles.online, expiresAt = now + ROOT_LIFE_MS } = change;
  const version = current.version + 1;
  const roles = { root, release, online };
  const next: Root = { schema: 1, version, issuedAt: now, expiresAt, roles };
  const signed = await addSignatures('root', { payload: encodeRoot(next), signatures: [] }, keys);
  return { root: await verifyNext(current, signed), signed };
}

export async function keepRoot(
  store: Store,
  root: Root,
  signed: Signed,
  now: number,
): Promise<void> {
  await store.write(async (tx) => {
    await insertRoot(tx, root.version, signed, now);
    const { version, expiresAt, roles } = root;
    await record(tx, now, 'system', 'root.published', `root:${version}`, { expiresAt, roles });
  });
}

export function roleOf(keys: readonly { readonly publicKey: Uint8Array }[], threshold = 1): Role {
  return { keys: keys.map(({ publicKey }) => toHex(publicKey)), threshold };
}
