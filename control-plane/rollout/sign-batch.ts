import { hash } from 'node:crypto';
import {
  BATCH_OF,
  type BatchedDomain,
  type Envelope,
  inDomain,
  type SigningKey,
  seal,
  signBytes,
} from '../../protocol/signing.ts';
import { batchStatement, leafBytes, nodeBytes } from '../../protocol/trust/inclusion.ts';

const HASH_BYTES = 32;

export function sealDesired(key: SigningKey, payloads: readonly Uint8Array[]): Promise<Envelope[]> {
  return sealBatch(key, 'desired', payloads);
}

/**
 * Seals many documents of one purpose with one signature. A batch of one is a plain envelope. Hashes here are Node's and not
 * WebCrypto's, which would take ten times as long over 20,000 small ones.
 */
export async function sealBatch(
  key: SigningKey,
  domain: BatchedDomain,
  payloads: readonly Uint8Array[],
): Promise<Envelope[]> {
  const [first] = payloads;
  if (payloads.length === 1 && first !== undefined) return [await seal(key, domain, first)];
  if (payloads.length === 0) return [];
  const levels = treeOver(payloads);
  const root = hashAt(levels[levels.length - 1], 0);
  const size = payloads.length;
  const signature = await signBytes(key, inDomain(BATCH_OF[domain], batchStatement(size, root)));
  const { keyId } = key;
  const paths = new Uint8Array(size * (levels.length - 1) * HASH_BYTES);
  let end = 0;
  return payloads.map((payload, index) => {
    const begin = end;
    end = writePath(paths, begin, levels, index);
    return {
      payload,
      keyId,
      signature,
      inclusion: { index, size, path: paths.subarray(begin, end) },
    };
  });
}

/**
 * All levels of the tree, leaves first, each the hashes one behind the other: a buffer for each of 20,000 hashes would cost
 * more memory and time than hashing. A last hash without a partner goes up as it is.
 */
function treeOver(payloads: readonly Uint8Array[]): Uint8Array[] {
  const leaves = new Uint8Array(payloads.length * HASH_BYTES);
  for (const [at, payload] of payloads.entries()) {
    leaves.set(sha256(leafBytes(payload)), at * HASH_BYTES);
  }
  const levels = [leaves];
  for (let level = leaves; level.length > HASH_BYTES; ) {
    const count = level.length / HASH_BYTES;
    const above = new Uint8Array(Math.ceil(count / 2) * HASH_BYTES);
    for (let at = 0; at < count; at += 2) {
      const alone = at + 1 === count;
      const left = hashAt(level, at);
      const up = alone ? left : sha256(nodeBytes(left, hashAt(level, at + 1)));
      above.set(up, (at / 2) * HASH_BYTES);
    }
    levels.push(above);
    level = above;
  }
  return levels;
}

/** Writes the hashes from a leaf's sibling up; returns where they end. */
function writePath(
  into: Uint8Array,
  begin: number,
  levels: readonly Uint8Array[],
  index: number,
): number {
  let end = begin;
  let at = index;
  for (const level of levels.slice(0, -1)) {
    const sibling = at ^ 1;
    if (sibling * HASH_BYTES < level.length) {
      into.set(hashAt(level, sibling), end);
      end += HASH_BYTES;
    }
    at >>= 1;
  }
  return end;
}

function hashAt(level: Uint8Array, at: number): Uint8Array {
  return level.subarray(at * HASH_BYTES, (at + 1) * HASH_BYTES);
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}
