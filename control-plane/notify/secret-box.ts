import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { link, open, readFile, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { ControlError } from '../error.ts';

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * The key of the channels' secrets, made at the first start: a file of its own (mode 0600), so that a
 * copy of the database alone gives no secret away. Who can read the data directory can read them all.
 */
export async function loadChannelKey(dataDir: string): Promise<Buffer> {
  const file = join(dataDir, 'channel-key');
  const stored = await readIfThere(file);
  if (stored !== null) {
    if (stored.length === KEY_BYTES) return stored;
    throw new Error(
      `${file} has ${stored.length} bytes, not ${KEY_BYTES}: restore it from a backup`,
    );
  }
  const key = randomBytes(KEY_BYTES);
  const temporary = `${file}.${process.pid}.tmp`;
  const handle = await open(temporary, 'w', 0o600);
  try {
    await handle.writeFile(key);
    await handle.sync();
  } finally {
    await handle.close();
  }
  // `link` never replaces a key that seals rows already.
  await link(temporary, file);
  await unlink(temporary);
  return key;
}

async function readIfThere(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}

/** AES-256-GCM: nonce, tag, ciphertext. `owner` is bound in, so that a row's secret can't be moved to another. */
export function seal(key: Buffer, owner: string, text: string): Uint8Array {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(Buffer.from(owner));
  const body = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
  return new Uint8Array(Buffer.concat([nonce, cipher.getAuthTag(), body]));
}

/** Throws `ControlError` 'unavailable' when key, owner or bytes are not those it was sealed with. */
export function unseal(key: Buffer, owner: string, sealed: Uint8Array): string {
  const bytes = Buffer.from(sealed);
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const tag = bytes.subarray(NONCE_BYTES, NONCE_BYTES + TAG_BYTES);
  try {
    const options = { authTagLength: TAG_BYTES };
    const open = createDecipheriv('aes-256-gcm', key, nonce, options).setAAD(Buffer.from(owner));
    open.setAuthTag(tag);
    const body = bytes.subarray(NONCE_BYTES + TAG_BYTES);
    return Buffer.concat([open.update(body), open.final()]).toString('utf8');
  } catch (cause) {
    throw new ControlError(
      'unavailable',
      `the secrets of channel "${owner}" were sealed with another key: remove it and add it again`,
      { cause },
    );
  }
}
