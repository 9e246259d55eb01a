import { z } from 'zod';
import { bytesSchema, toHex } from './bytes.ts';
import { ProtocolError } from './error.ts';
import { MAX_FRAME_BYTES } from './limits.ts';
import { batchStatement, inclusionSchema, rootOfInclusion } from './trust/inclusion.ts';

/**
 * Ed25519 through WebCrypto: the same code in Node and in a browser. What is signed is the payload's
 * bytes as they travel, so no canonical form has to be agreed on.
 */
/** First 16 hex digits of the SHA-256 of a public key. */
export const keyIdSchema = z.string().regex(/^[0-9a-f]{16}$/);

export const envelopeSchema = z.object({
  payload: bytesSchema(MAX_FRAME_BYTES),
  keyId: keyIdSchema,
  signature: bytesSchema(64, true),
  /** Of many payloads under one signature: where this one is. Without it the signature is over the payload alone. */
  inclusion: inclusionSchema.optional(),
});
export type Envelope = z.infer<typeof envelopeSchema>;

/** What a signature is for. Part of the signed bytes, so that one kind can't be passed off as another. */
export type SigningDomain =
  | BatchedDomain
  | 'desired-batch'
  | 'lease-batch'
  | 'download'
  | 'release'
  | 'root';

/** Of what one signature may cover many. */
export type BatchedDomain = 'desired' | 'lease';

export interface SigningKey {
  readonly keyId: string;
  readonly publicKey: Uint8Array;
  readonly privateKey: CryptoKey;
}

/**
 * A new key.
 *
 * @param extractable whether `exportSigningKey` may read its private part: what nobody can read, nobody can copy
 */
export async function newSigningKey(extractable: boolean): Promise<SigningKey> {
  const uses: KeyUsage[] = ['sign', 'verify'];
  const pair = (await crypto.subtle.generateKey('Ed25519', extractable, uses)) as CryptoKeyPair;
  const publicKey = new Uint8Array(await crypto.subtle.exportKey('raw', pair.publicKey));
  return { keyId: await keyIdOf(publicKey), publicKey, privateKey: pair.privateKey };
}

/** The private part of an extractable key. Rejects for any other. */
export async function exportSigningKey({ privateKey }: SigningKey): Promise<PrivateJwk> {
  return privateJwkSchema.parse(await crypto.subtle.exportKey('jwk', privateKey));
}

export type PrivateJwk = { kty: 'OKP'; crv: 'Ed25519'; d: string; x: string };

/** A new key and its private part as JWK, for the caller to keep. */
export async function generateSigningKey(): Promise<{ key: SigningKey; jwk: PrivateJwk }> {
  const jwk = await exportSigningKey(await newSigningKey(true));
  return { key: await importSigningKey(jwk), jwk };
}

export const privateJwkSchema = z.object({
  kty: z.literal('OKP'),
  crv: z.literal('Ed25519'),
  d: z.string().length(43),
  x: z.string().length(43),
});

export async function importSigningKey(jwk: PrivateJwk, extractable = false): Promise<SigningKey> {
  const uses: KeyUsage[] = ['sign'];
  const privateKey = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', extractable, uses);
  const publicKey = await rawPublicKey(jwk.x);
  return { keyId: await keyIdOf(publicKey), publicKey, privateKey };
}

async function rawPublicKey(x: string): Promise<Uint8Array> {
  const jwk = { kty: 'OKP', crv: 'Ed25519', x };
  const key = await crypto.subtle.importKey('jwk', jwk, 'Ed25519', true, ['verify']);
  return new Uint8Array(await crypto.subtle.exportKey('raw', key));
}

/** 16 hex digits that name a public key: short enough to print, long enough (64 bits) not to collide by accident. */
export async function keyIdOf(publicKey: Uint8Array): Promise<string> {
  return (await fingerprintOf(publicKey)).slice(0, 16);
}

/** SHA-256 of a public key in hex: what a join token pins. */
export async function fingerprintOf(publicKey: Uint8Array): Promise<string> {
  return toHex(new Uint8Array(await crypto.subtle.digest('SHA-256', owned(publicKey))));
}

export async function signBytes(key: SigningKey, message: Uint8Array): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.sign('Ed25519', key.privateKey, owned(message)));
}

export async function verifyBytes(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): Promise<boolean> {
  const key = await crypto.subtle.importKey('raw', owned(publicKey), 'Ed25519', false, ['verify']);
  return crypto.subtle.verify('Ed25519', key, owned(signature), owned(message));
}

export async function seal(
  key: SigningKey,
  domain: SigningDomain,
  payload: Uint8Array,
): Promise<Envelope> {
  return { payload, keyId: key.keyId, signature: await signBytes(key, inDomain(domain, payload)) };
}

/** The payload of an envelope signed by `publicKey`; throws `ProtocolError` 'signature' otherwise. */
export async function open(
  publicKey: Uint8Array,
  domain: SigningDomain,
  envelope: Envelope,
): Promise<Uint8Array> {
  const message = await signedMessage(domain, envelope);
  if (message === null || !(await verifyBytes(publicKey, message, envelope.signature))) {
    throw new ProtocolError(
      'signature',
      `a ${domain} envelope claims key ${envelope.keyId}, but the pinned key ${await keyIdOf(publicKey)} did not sign it`,
    );
  }
  return envelope.payload;
}

/** The purpose that the root of a batch is signed for. */
export const BATCH_OF = {
  desired: 'desired-batch',
  lease: 'lease-batch',
} as const satisfies Record<BatchedDomain, SigningDomain>;

/** Null for an inclusion that fits no tree, and for what is not signed in batches. */
async function signedMessage(
  domain: SigningDomain,
  { payload, inclusion }: Envelope,
): Promise<Uint8Array | null> {
  if (inclusion === undefined) return inDomain(domain, payload);
  if (domain !== 'desired' && domain !== 'lease') return null;
  const root = await rootOfInclusion(payload, inclusion);
  return root === null ? null : inDomain(BATCH_OF[domain], batchStatement(inclusion.size, root));
}

/** The bytes that a signature is made over. */
export function inDomain(domain: SigningDomain, payload: Uint8Array): Uint8Array {
  const prefix = new TextEncoder().encode(`driftline/${domain}/v1\n`);
  const bytes = new Uint8Array(prefix.length + payload.length);
  bytes.set(prefix, 0);
  bytes.set(payload, prefix.length);
  return bytes;
}

// WebCrypto's types want an ArrayBuffer, not a SharedArrayBuffer: all of ours are, the compiler cannot know.
function owned(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes as Uint8Array<ArrayBuffer>;
}
