import { link, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import {
  generateSigningKey,
  importSigningKey,
  privateJwkSchema,
  type SigningKey,
} from '../../protocol/signing.ts';

/**
 * The control plane's key, made at the first start. It is a file of its own (mode 0600) and not a row,
 * so that a copy of the database can be handed out without the power to command the fleet.
 */
export async function loadSigningKey(dataDir: string): Promise<SigningKey> {
  const file = join(dataDir, 'signing-key.json');
  const stored = await readIfThere(file);
  if (stored !== null) return importSigningKey(privateJwkSchema.parse(JSON.parse(stored)));
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
  await link(temporary, file);
  await unlink(temporary);
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
