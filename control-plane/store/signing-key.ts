import { link, open, readFile, rename, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  generateSigningKey,
  importSigningKey,
  privateJwkSchema,
  type SigningKey,
} from '../../protocol/signing.ts';

/** Private keys in the data folder, each a file of its own: `<name>-key.json`. */
export type KeyName = 'signing' | 'next-signing' | 'release' | 'root';

/**
 * The control plane's online key, made at the first start. Keys are files (mode 0600) and not rows, so that a copy of
 * the database can be handed out without the power to command the fleet.
 */
export async function loadSigningKey(dataDir: string): Promise<SigningKey> {
  return (await findKey(dataDir, 'signing')) ?? makeKey(dataDir, 'signing');
}

/** Null: it is not on this machine. */
export async function findKey(dataDir: string, name: KeyName): Promise<SigningKey | null> {
  return findKeyFile(keyPath(dataDir, name));
}

export function keyPath(dataDir: string, name: KeyName): string {
  return join(dataDir, `${name}-key.json`);
}

/** A key in a file of the operator's; null when there is none. Throws on a file that is no key. */
export async function findKeyFile(file: string): Promise<SigningKey | null> {
  const stored = await readIfThere(file);
  return stored === null ? null : importSigningKey(privateJwkSchema.parse(JSON.parse(stored)));
}

/** Puts the next online key in the place of the present one, which ends with it. */
export async function promoteSigningKey(dataDir: string): Promise<void> {
  await rename(keyPath(dataDir, 'next-signing'), keyPath(dataDir, 'signing'));
}

export async function makeKey(dataDir: string, name: KeyName): Promise<SigningKey> {
  return makeKeyFile(keyPath(dataDir, name));
}

/** Makes a key in a file that must not be there yet. */
export async function makeKeyFile(file: string): Promise<SigningKey> {
  const { key, jwk } = await generateSigningKey();
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(`${JSON.stringify(jwk)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // Whole or not at all, and never over an existing key, which agents have pinned: `link` fails where `rename` replaces.
  try {
    await link(temporary, file);
  } finally {
    await unlink(temporary);
  }
  return key;
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
