import { createHash } from 'node:crypto';

/** SHA-256 in hex of a secret: what the database keeps of tokens. Secrets are random, so no salt or stretching is needed. */
export function hashSecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}
