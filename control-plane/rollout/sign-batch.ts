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
  const levels = treeOver(payloads.map((payload) => sha256(leafBytes(payload))));
  const [root] = levels[levels.length - 1];
  const size = payloads.length;
  const signature = await signBytes(key, inDomain(BATCH_OF[domain], batchStatement(size, root)));
  const { keyId } = key;
  return payloads.map((payload, index) => {
    const inclusion = { index, size, path: pathOf(levels, index) };
    return { payload, keyId, signature, inclusion };
  });
}

/** All levels of the tree, leaves first. A last hash without a partner goes up as it is. */
function treeOver(leaves: Uint8Array[]): Uint8Array[][] {
  const levels = [leaves];
  for (let level = leaves; level.length > 1; ) {
    const above: Uint8Array[] = [];
    for (let at = 0; at < level.length; at += 2) {
      const right = level[at + 1];
      above.push(right === undefined ? level[at] : sha256(nodeBytes(level[at], right)));
    }
    levels.push(above);
    level = above;
  }
  return levels;
}

function pathOf(levels: readonly Uint8Array[][], index: number): Uint8Array {
  const path: Uint8Array[] = [];
  let at = index;
  for (const level of levels.slice(0, -1)) {
    const sibling = level[at ^ 1];
    if (sibling !== undefined) path.push(sibling);
    at >>= 1;
  }
  return new Uint8Array(Buffer.concat(path));
}

function sha256(bytes: Uint8Array): Uint8Array {
  return hash('sha256', bytes, 'buffer');
}
