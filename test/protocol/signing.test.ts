import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { ProtocolError } from '../../protocol/error.ts';
import {
  fingerprintOf,
  generateSigningKey,
  importSigningKey,
  keyIdOf,
  open,
  type PrivateJwk,
  type SigningKey,
  seal,
  signBytes,
  verifyBytes,
} from '../../protocol/signing.ts';

/** RFC 8032, section 7.1, test 2. */
const RFC_8032 = {
  secret: '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
  public: '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
  message: '72',
  signature:
    '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
};

let key: SigningKey;
let jwk: PrivateJwk;
let other: SigningKey;

beforeAll(async () => {
  ({ key, jwk } = await generateSigningKey());
  other = (await generateSigningKey()).key;
});

const payload = new TextEncoder().encode('{"generation":7}');

describe('an envelope', () => {
  it('SIGN-1: opens with the key that sealed it, also after that key was stored and read', async () => {
    const envelope = await seal(await importSigningKey(jwk), 'desired', payload);
    expect(await open(key.publicKey, 'desired', envelope)).toEqual(payload);
  });

  it('SIGN-1: does not open with another key, and the error names both', async () => {
    const envelope = await seal(key, 'desired', payload);
    const opened = open(other.publicKey, 'desired', envelope);
    await expect(opened).rejects.toThrow(ProtocolError);
    await expect(opened).rejects.toThrow(`claims key ${key.keyId}`);
    await expect(opened).rejects.toThrow(`pinned key ${other.keyId} did not sign it`);
  });

  it('SIGN-2: sealed for one purpose does not open for another', async () => {
    const envelope = await seal(key, 'download', payload);
    await expect(open(key.publicKey, 'desired', envelope)).rejects.toThrow('a desired envelope');
    const bare = { ...envelope, signature: await signBytes(key, payload) };
    await expect(open(key.publicKey, 'desired', bare)).rejects.toThrow(ProtocolError);
  });

  it('SIGN-2: a domain cannot be imitated by moving its text into the payload', async () => {
    const envelope = await seal(key, 'desired', payload);
    const prefixed = new TextEncoder().encode('driftline/desired/v1\n{"generation":7}');
    await expect(
      open(key.publicKey, 'download', { ...envelope, payload: prefixed }),
    ).rejects.toThrow(ProtocolError);
  });

  it('SIGN-3: does not open when any byte of payload or signature has changed', async () => {
    const envelope = await seal(key, 'desired', payload);
    for (const part of ['payload', 'signature'] as const) {
      for (let at = 0; at < envelope[part].length; at += 1) {
        const bytes = Uint8Array.from(envelope[part]);
        bytes[at] ^= 1 << (at % 8);
        await expect(
          open(key.publicKey, 'desired', { ...envelope, [part]: bytes }),
        ).rejects.toThrow(ProtocolError);
      }
    }
    const longer = Uint8Array.of(...payload, 0);
    await expect(open(key.publicKey, 'desired', { ...envelope, payload: longer })).rejects.toThrow(
      ProtocolError,
    );
  });

  it('SIGN-4: its key id is a name, not a proof', async () => {
    const envelope = await seal(other, 'desired', payload);
    await expect(open(key.publicKey, 'desired', { ...envelope, keyId: key.keyId })).rejects.toThrow(
      ProtocolError,
    );
    const renamed = { ...(await seal(key, 'desired', payload)), keyId: other.keyId };
    expect(await open(key.publicKey, 'desired', renamed)).toEqual(payload);
  });
});

describe('a key', () => {
  it('SIGN-4: is named by the head of the SHA-256 of its public half', async () => {
    const sha256 = createHash('sha256').update(key.publicKey).digest('hex');
    expect(await fingerprintOf(key.publicKey)).toBe(sha256);
    expect(await keyIdOf(key.publicKey)).toBe(sha256.slice(0, 16));
    expect(key.keyId).toBe(sha256.slice(0, 16));
  });

  it('signs and verifies as RFC 8032 does', async () => {
    const base64url = (hex: string) => Buffer.from(hex, 'hex').toString('base64url');
    const known = await importSigningKey({
      kty: 'OKP',
      crv: 'Ed25519',
      d: base64url(RFC_8032.secret),
      x: base64url(RFC_8032.public),
    });
    const message = Uint8Array.from(Buffer.from(RFC_8032.message, 'hex'));
    const signature = await signBytes(known, message);
    expect(Buffer.from(signature).toString('hex')).toBe(RFC_8032.signature);
    expect(await verifyBytes(known.publicKey, message, signature)).toBe(true);
  });

  it('seals any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), async (bytes) => {
        const envelope = await seal(key, 'download', bytes);
        expect(await open(key.publicKey, 'download', envelope)).toEqual(bytes);
      }),
      { numRuns: 50 },
    );
  });
});
