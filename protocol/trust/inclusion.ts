import { z } from 'zod';
import { bytesSchema } from '../bytes.ts';

/**
 * Many payloads under one signature: the signature is over the root of a Merkle tree, and each payload travels with the
 * hashes that lead from it to the root. Pairs are hashed level by level, and a last one without a partner goes up as it
 * is: the tree of RFC 9162, section 2.1. Leaves and nodes are hashed under different prefixes, so that a node can't be
 * passed off as a payload.
 */
export const inclusionSchema = z.object({
  index: z
    .int()
    .min(0)
    .max(2 ** 31),
  /** Payloads in the batch; from 2 on. */
  size: z
    .int()
    .min(2)
    .max(2 ** 31),
  /** Hashes of 32 bytes, from the leaf's sibling up. */
  path: bytesSchema(31 * 32),
});
export type Inclusion = z.infer<typeof inclusionSchema>;

const HASH_BYTES = 32;
const LEAF_PREFIX = new TextEncoder().encode('driftline/desired-leaf/v1\n');
const NODE_PREFIX = new TextEncoder().encode('driftline/desired-node/v1\n');

export function leafBytes(payload: Uint8Array): Uint8Array {
  return joined(LEAF_PREFIX, payload);
}

export function nodeBytes(left: Uint8Array, right: Uint8Array): Uint8Array {
  return joined(NODE_PREFIX, left, right);
}

/** What is signed of a batch: how many payloads (u32, big endian), and the root. */
export function batchStatement(size: number, root: Uint8Array): Uint8Array {
  const count = new Uint8Array(4);
  new DataView(count.buffer).setUint32(0, size);
  return joined(count, root);
}

/** The root that `payload` leads to; null when the path is not one of a tree of this size. */
export async function rootOfInclusion(
  payload: Uint8Array,
  { index, size, path }: Inclusion,
): Promise<Uint8Array | null> {
  if (index >= size || path.length % HASH_BYTES !== 0) return null;
  let hash = await sha256(leafBytes(payload));
  let [at, width, used] = [index, size, 0];
  for (; width > 1; at = Math.floor(at / 2), width = Math.ceil(width / 2)) {
    const alone = at === width - 1 && at % 2 === 0;
    if (alone) continue;
    const sibling = path.subarray(used, used + HASH_BYTES);
    if (sibling.length < HASH_BYTES) return null;
    used += HASH_BYTES;
    hash = await sha256(at % 2 === 0 ? nodeBytes(hash, sibling) : nodeBytes(sibling, hash));
  }
  return used === path.length ? hash : null;
}

async function sha256(bytes: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest('SHA-256', bytes as Uint8Array<ArrayBuffer>));
}

function joined(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
