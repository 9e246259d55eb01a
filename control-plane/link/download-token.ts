import { z } from 'zod';
import { type AgentId, agentIdSchema, timestampSchema } from '../../protocol/ids.ts';
import { open, type SigningKey, seal } from '../../protocol/signing.ts';

/** A host that stays linked is welcomed anew at half of it; a stolen one is worth an hour. */
export const DOWNLOAD_TOKEN_LIFE_MS = 3_600_000;

const claimsSchema = z.object({ agent: agentIdSchema, expiresAt: timestampSchema });

const TOKEN = /^dld_([A-Za-z0-9_-]{1,512})\.([A-Za-z0-9_-]{86})$/;

/** `dld_<claims>.<signature>`: nothing to store, nothing to look up. */
export async function issueDownloadToken(
  key: SigningKey,
  agent: AgentId,
  now: number,
): Promise<string> {
  const claims = JSON.stringify({ agent, expiresAt: now + DOWNLOAD_TOKEN_LIFE_MS });
  const payload = new TextEncoder().encode(claims);
  const { signature } = await seal(key, 'download', payload);
  return `dld_${base64url(payload)}.${base64url(signature)}`;
}

/** Whose token it is; null when it is malformed, not ours or expired. */
export async function readDownloadToken(
  key: SigningKey,
  token: string,
  now: number,
): Promise<AgentId | null> {
  const [, claims, signature] = TOKEN.exec(token) ?? [];
  if (claims === undefined || signature === undefined) return null;
  const payload = new Uint8Array(Buffer.from(claims, 'base64url'));
  const signed = new Uint8Array(Buffer.from(signature, 'base64url'));
  try {
    await open(key.publicKey, 'download', { payload, keyId: key.keyId, signature: signed });
  } catch {
    return null;
  }
  // Signed by us, so it is JSON; the schema guards against another build's claims.
  const parsed = claimsSchema.safeParse(JSON.parse(new TextDecoder().decode(payload)));
  return parsed.success && parsed.data.expiresAt > now ? parsed.data.agent : null;
}

function base64url(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64url');
}
