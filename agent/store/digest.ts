import { createHash } from 'node:crypto';
import type { Digest } from '../../protocol/ids.ts';
import type { Disk } from './disk.ts';

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/** `sha256:…` of a file, read in pieces so that a large model doesn't hold up the supervisor. */
export async function digestOfFile(disk: Disk, path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const piece of disk.pieces(path)) hash.update(piece);
  return `sha256:${hash.digest('hex')}`;
}
