import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { sealDesired } from '../../control-plane/rollout/sign-batch.ts';
import { roleOf } from '../../control-plane/trust/ceremony.ts';
import { open } from '../../protocol/signing.ts';
import { rootOfInclusion } from '../../protocol/trust/inclusion.ts';
import { isReleasedBy, readRelease } from '../../protocol/trust/release.ts';
import {
  encodeRoot,
  followRoots,
  readRoot,
  verifyAnchor,
  verifyNext,
} from '../../protocol/trust/root.ts';
import { addSignatures, isSignedBy } from '../../protocol/trust/signed.ts';
import { newKey, newKeys, signRelease, signRoot } from '../support/roots.ts';

const text = (value: string) => new TextEncoder().encode(value);

describe('SIGN-5: a batch of documents under one signature', () => {
  it('opens each with its path, whatever the size of the batch', async () => {
    const key = await newKey();
    for (const size of [1, 2, 3, 4, 5, 7, 8, 9, 31, 100]) {
      const payloads = Array.from({ length: size }, (_, at) => text(`document ${at}`));
      const sealed = await sealDesired(key, payloads);
      for (const [at, envelope] of sealed.entries()) {
        expect(await open(key.publicKey, 'desired', envelope)).toEqual(payloads[at]);
        expect(envelope.inclusion?.index ?? 0).toBe(at);
      }
      expect(sealed[0].inclusion === undefined).toBe(size === 1);
    }
  });

  it('opens nothing whose payload, path, place or size is another', async () => {
    const key = await newKey();
    const batch = fc.integer({ min: 2, max: 20 });
    await fc.assert(
      fc.asyncProperty(
        batch,
        fc.nat(),
        fc.nat(),
        fc.integer({ min: 1, max: 255 }),
        async (size, pick, bit, flip) => {
          const sealed = await sealDesired(
            key,
            Array.from({ length: size }, (_, at) => text(`d${at}`)),
          );
          const envelope = sealed[pick % size];
          const { inclusion } = envelope;
          if (inclusion === undefined) throw new Error('a batch has paths');
          const path = inclusion.path.slice();
          path[bit % path.length] ^= flip;
          const longer = new Uint8Array([...inclusion.path, ...new Uint8Array(32)]);
          const broken = [
            { ...inclusion, path },
            { ...inclusion, path: longer },
            { ...inclusion, path: inclusion.path.subarray(32) },
            { ...inclusion, index: (inclusion.index + 1) % size },
            { ...inclusion, size: size + 1 },
          ];
          for (const each of broken) {
            await expect(
              open(key.publicKey, 'desired', { ...envelope, inclusion: each }),
            ).rejects.toThrow('did not sign');
          }
          await expect(open(key.publicKey, 'download', envelope)).rejects.toThrow('did not sign');
        },
      ),
      { numRuns: 30 },
    );
  });

  it('takes an inner node for no document', async () => {
    const key = await newKey();
    const [first, second] = await sealDesired(key, [text('a'), text('b')]);
    const leaf = await rootOfInclusion(text('a'), {
      index: 0,
      size: 2,
      path: first.inclusion?.path ?? text(''),
    });
    const node = new Uint8Array([...(leaf ?? []), ...(second.inclusion?.path ?? [])]);
    const forged = {
      ...first,
      payload: node,
      inclusion: { index: 0, size: 2, path: new Uint8Array() },
    };
    await expect(open(key.publicKey, 'desired', forged)).rejects.toThrow('did not sign');
    await expect(
      open(key.publicKey, 'desired', { ...forged, inclusion: undefined }),
    ).rejects.toThrow();
  });
});

describe('TRUST-1: a threshold', () => {
  it('counts different keys, whatever ids signatures claim', async () => {
    const [a, b, c] = [await newKey(), await newKey(), await newKey()];
    const role = { keys: [a.publicKey, b.publicKey], threshold: 2 };
    const once = await addSignatures('release', { payload: text('x'), signatures: [] }, [a]);
    const [{ signature }] = once.signatures;
    const twice = { ...once, signatures: [...once.signatures, { keyId: b.keyId, signature }] };
    expect(await isSignedBy('release', twice, role)).toBe(false);
    expect(await isSignedBy('release', await addSignatures('release', once, [c]), role)).toBe(
      false,
    );
    const both = await addSignatures('release', once, [b]);
    expect(await isSignedBy('release', both, role)).toBe(true);
    expect(await isSignedBy('root', both, role)).toBe(false);
    const renamed = both.signatures.map((each) => ({ ...each, keyId: c.keyId }));
    expect(await isSignedBy('release', { ...both, signatures: renamed }, role)).toBe(true);
  });
});

describe('TRUST-2: the chain of roots', () => {
  it('goes on where both thresholds signed, and nowhere else', async () => {
    const [old, next] = [await newKeys(), await newKeys()];
    const first = await signRoot(old);
    const root = await verifyAnchor(first);
    const change = { version: 2 };
    const second = await signRoot(next, change, [old.root, next.root]);
    expect((await verifyNext(root, second)).roles).toEqual(readRoot(second).roles);
    for (const [signers, why] of [
      [[next.root], 'root keys of root 1'],
      [[old.root], 'root keys of its own'],
      [[old.online, old.release, next.root], 'root keys of root 1'],
    ] as const) {
      await expect(verifyNext(root, await signRoot(next, change, signers))).rejects.toThrow(why);
    }
    const third = await signRoot(next, { version: 3 });
    await expect(verifyNext(root, third)).rejects.toThrow('root 3 does not follow root 1');
    expect((await followRoots({ root, signed: first }, [first, second, third])).root.version).toBe(
      3,
    );
    await expect(followRoots({ root, signed: first }, [third])).rejects.toThrow('does not follow');
  });

  it('asks for as many as the threshold says', async () => {
    const keys = await newKeys();
    const others = [await newKey(), await newKey()];
    const roles = { root: roleOf([keys.root, ...others], 2) };
    await expect(verifyAnchor(await signRoot(keys, { roles }))).rejects.toThrow(
      '2 of 3 are needed',
    );
    await verifyAnchor(await signRoot(keys, { roles }, [keys.root, others[1]]));
  });

  it('holds no root whose roles make no sense', async () => {
    const keys = await newKeys();
    const root = readRoot(await signRoot(keys));
    const [key] = root.roles.root.keys;
    for (const bad of [
      { keys: [key, key], threshold: 1 },
      { keys: [key], threshold: 2 },
      { keys: [], threshold: 1 },
    ]) {
      expect(() => encodeRoot({ ...root, roles: { ...root.roles, release: bad } })).toThrow();
    }
    const two = roleOf([keys.online, keys.root], 2);
    expect(() => encodeRoot({ ...root, roles: { ...root.roles, online: two } })).toThrow('alone');
    expect(() => readRoot({ payload: text('{'), signatures: [] })).toThrow('is not JSON');
  });
});

it('TRUST-3: a release is signed by release keys of the root, and no others', async () => {
  const keys = await newKeys();
  const root = readRoot(await signRoot(keys));
  const what = { model: 'm', version: 1, manifest: `sha256:${'1'.repeat(64)}` };
  expect(await isReleasedBy(root, await signRelease([keys.release], what))).toBe(true);
  for (const key of [keys.online, keys.root, await newKey()]) {
    expect(await isReleasedBy(root, await signRelease([key], what))).toBe(false);
  }
  expect(() => readRelease({ payload: text('{"schema":1}'), signatures: [] })).toThrow('invalid');
});
