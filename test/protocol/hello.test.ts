import { describe, expect, it } from 'vitest';
import { helloTranscript } from '../../protocol/hello.ts';
import { generateSigningKey, signBytes, verifyBytes } from '../../protocol/signing.ts';

const filled = (value: number) => new Uint8Array(32).fill(value);

describe('what an agent signs to prove its key', () => {
  it('HELLO-2: is the domain, the nonce, the control plane key and its own key, in that order', () => {
    const transcript = helloTranscript(filled(1), filled(2), filled(3));
    expect(new TextDecoder().decode(transcript.subarray(0, 19))).toBe('driftline/hello/v1\n');
    expect(transcript.subarray(19)).toEqual(
      Uint8Array.of(...filled(1), ...filled(2), ...filled(3)),
    );
  });

  it('HELLO-2: proves nothing for another nonce, control plane or key', async () => {
    const { key } = await generateSigningKey();
    const proof = await signBytes(key, helloTranscript(filled(1), filled(2), key.publicKey));
    const proves = (nonce: Uint8Array, control: Uint8Array, own: Uint8Array) =>
      verifyBytes(key.publicKey, helloTranscript(nonce, control, own), proof);
    expect(await proves(filled(1), filled(2), key.publicKey)).toBe(true);
    expect(await proves(filled(9), filled(2), key.publicKey)).toBe(false);
    expect(await proves(filled(1), filled(9), key.publicKey)).toBe(false);
    expect(await proves(filled(1), filled(2), filled(9))).toBe(false);
  });
});
