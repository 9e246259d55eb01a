import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Identity } from '../../../agent/link/identity.ts';
import { loadIdentity } from '../../../agent/link/identity-file.ts';
import { rotationTranscript } from '../../../protocol/handshake.ts';
import { verifyBytes } from '../../../protocol/signing.ts';
import { AGENT } from './control-end.ts';

const CONTROL = new Uint8Array(32).fill(9);

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'identity-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function joined(): Promise<Identity> {
  const identity = await loadIdentity(folder);
  await identity.admitted(AGENT, CONTROL);
  return identity;
}

/** Whether `identity` shows what the key `from` signed for the key of its hello. */
async function handsOver(identity: Identity, from: Uint8Array): Promise<boolean> {
  const rotation = await identity.rotation();
  if (rotation === null || !Buffer.from(rotation.previousKey).equals(from)) return false;
  const transcript = rotationTranscript(AGENT, from, identity.key.publicKey);
  return verifyBytes(from, transcript, rotation.signature);
}

describe('ROTATE-1: the key of a host', () => {
  it('shows the next key and how the present one hands over, also after a crash', async () => {
    const before = await joined();
    const old = before.key.publicKey;
    expect(await before.rotation()).toBeNull();
    const next = await before.prepareRotation();
    expect(before.key.publicKey).toEqual(next.publicKey);
    expect(await handsOver(before, old)).toBe(true);
    // As a crash leaves it: the control plane has taken the next key, or has not.
    const after = await loadIdentity(folder);
    expect(after.key.publicKey).toEqual(next.publicKey);
    expect(await handsOver(after, old)).toBe(true);
    expect((await after.prepareRotation()).publicKey).toEqual(next.publicKey);
  });

  it('forgets the old key once the new one is admitted, and still shows how it handed over', async () => {
    const identity = await joined();
    const old = identity.key.publicKey;
    const secret = JSON.parse(await readFile(join(folder, 'identity.json'), 'utf8')).key.d;
    const next = await identity.prepareRotation();
    await identity.admitted(AGENT, CONTROL);
    const text = await readFile(join(folder, 'identity.json'), 'utf8');
    expect(text).not.toContain(secret);
    const stored = await loadIdentity(folder);
    expect(stored.key.publicKey).toEqual(next.publicKey);
    expect(await handsOver(stored, old)).toBe(true);
    // And once more.
    const third = await stored.prepareRotation();
    expect(await handsOver(stored, next.publicKey)).toBe(true);
    await stored.admitted(AGENT, CONTROL);
    expect(stored.key.publicKey).toEqual(third.publicKey);
  });

  it('is not rotated before the first join', async () => {
    const identity = await loadIdentity(folder);
    await expect(identity.prepareRotation()).rejects.toThrow('has not joined');
  });
});

it('an identity of an older build is read as it is', async () => {
  const identity = await joined();
  const path = join(folder, 'identity.json');
  const { next: _, rotation: __, ...older } = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify(older));
  expect((await loadIdentity(folder)).key.publicKey).toEqual(identity.key.publicKey);
});
