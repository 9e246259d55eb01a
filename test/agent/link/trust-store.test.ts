import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { loadTrust } from '../../../agent/link/root-file.ts';
import { rootFingerprint } from '../../../protocol/trust/root.ts';
import { type Keys, newKey, newKeys, signRoot } from '../../support/roots.ts';

let folder: string;
let keys: Keys;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'trust-'));
  keys = await newKeys();
});
afterEach(() => rm(folder, { recursive: true }));

it('TRUST-6: a host that joins begins at the root in its token, goes to the newest, and keeps it', async () => {
  const online = await newKey();
  const [first, second] = [
    await signRoot(keys),
    await signRoot({ ...keys, online }, { version: 2 }),
  ];
  const store = await loadTrust(folder);
  const fingerprint = (await rootFingerprint(first)).slice(0, 32);
  const pin = { kind: 'fingerprint', fingerprint } as const;
  await expect(store.follow([second], online.publicKey, pin)).rejects.toThrow(
    'no root that the join token',
  );
  await expect(store.follow([first, second], keys.online.publicKey, pin)).rejects.toThrow(
    'does not name as online',
  );
  await expect(store.follow([first], online.publicKey, null)).rejects.toThrow('has no join token');
  await store.keep(await store.follow([first, second], online.publicKey, pin));
  const again = await loadTrust(folder);
  expect([again.root?.version, again.onlineKeys]).toEqual([2, [online.publicKey]]);
  // An older chain shows it nothing new, and the key that was rotated away is none of its root's any more.
  await expect(again.follow([first], keys.online.publicKey, null)).rejects.toThrow(
    'root 2 does not name',
  );
});

it('HELLO-4: a host that joined before there were roots begins where its pinned key is the online key', async () => {
  const first = await signRoot(keys);
  const store = await loadTrust(folder);
  const pin = { kind: 'key', key: keys.online.publicKey } as const;
  expect((await store.follow([first], keys.online.publicKey, pin)).root.version).toBe(1);
  const theirs = await newKeys();
  const forged = await signRoot(theirs);
  await expect(store.follow([forged], theirs.online.publicKey, pin)).rejects.toThrow(
    'not the one pinned at join',
  );
  await expect(store.follow([forged], keys.online.publicKey, pin)).rejects.toThrow(
    'does not name as online',
  );
  await expect(store.follow([], keys.online.publicKey, pin)).rejects.toThrow('shows no root');
});

it('a root that was changed on disk is not taken for one', async () => {
  const store = await loadTrust(folder);
  const pin = { kind: 'key', key: keys.online.publicKey } as const;
  const anchor = await store.follow([await signRoot(keys)], keys.online.publicKey, pin);
  const other = await signRoot(await newKeys());
  await store.keep({ ...anchor, signed: { ...anchor.signed, payload: other.payload } });
  await expect(loadTrust(folder)).rejects.toThrow('root.json is not a root');
  await writeFile(join(folder, 'root.json'), '{');
  await expect(loadTrust(folder)).rejects.toThrow('root.json is not a root');
});
