import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Packr } from 'msgpackr';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDesired } from '../../../agent/rollout/desired-document.ts';
import { DesiredGate } from '../../../agent/rollout/desired-gate.ts';
import { DesiredStore } from '../../../agent/rollout/desired-store.ts';
import type { DesiredState } from '../../../protocol/desired.ts';
import { ProtocolError } from '../../../protocol/error.ts';
import { generateSigningKey, type SigningKey, seal } from '../../../protocol/signing.ts';
import { type Root, readRoot } from '../../../protocol/trust/root.ts';
import { newKeys, signRoot } from '../../support/roots.ts';

const ME = `agt_${'a'.repeat(24)}`;
const state: DesiredState = {
  agent: ME,
  generation: 7,
  issuedAt: 0,
  expiresAt: 1,
  deployments: [],
};

let folder: string;
let key: SigningKey;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'desired-'));
  key = (await generateSigningKey()).key;
});
afterEach(() => rm(folder, { recursive: true }));

const sealed = (value: unknown, by = key, domain: 'desired' | 'download' = 'desired') =>
  seal(by, domain, new TextEncoder().encode(JSON.stringify(value)));

describe('a desired state', () => {
  it('DESIRED-1: is read by the agent it is for, when the pinned key signed it', async () => {
    const opened = await openDesired(await sealed(state), [key.publicKey], ME);
    expect(opened).toEqual({ desired: state, key: key.publicKey });
  });

  it('DESIRED-1: is refused when it is for another agent, by another key or for another purpose', async () => {
    const other = (await generateSigningKey()).key;
    const foreign = await sealed({ ...state, agent: `agt_${'b'.repeat(24)}` });
    for (const envelope of [
      foreign,
      await sealed(state, other),
      await sealed(state, key, 'download'),
    ]) {
      const opened = openDesired(envelope, [key.publicKey], ME);
      await expect(opened).rejects.toMatchObject({ name: 'ProtocolError', kind: 'signature' });
    }
  });

  it('DESIRED-1: is refused when it breaks the schema, however well signed', async () => {
    for (const value of [{}, { ...state, generation: 0 }, null]) {
      await expect(openDesired(await sealed(value), [key.publicKey], ME)).rejects.toThrow(
        ProtocolError,
      );
    }
  });
});

describe('the store of desired states', () => {
  const gateOf = (store: DesiredStore) =>
    new DesiredGate({
      store,
      trust: { root, onlineKeys: [key.publicKey] },
      agent: () => ME,
      labels: {},
    });
  let root: Root;
  beforeEach(async () => {
    const keys = { ...(await newKeys()), online: key };
    root = readRoot(await signRoot(keys));
  });

  it('DESIRED-6: gives back after a restart what was accepted, verified anew', async () => {
    const store = new DesiredStore(folder);
    expect(await gateOf(store).restore()).toBeNull();
    await store.saveDesired({ envelope: await sealed(state), releases: [] });
    const restored = await gateOf(new DesiredStore(folder)).restore();
    expect(restored?.desired).toEqual(state);
  });

  it('DESIRED-6: reads what a build without releases has kept', async () => {
    const store = new DesiredStore(folder);
    const envelope = await sealed(state);
    await writeFile(join(folder, 'desired.bin'), new Packr({ useRecords: false }).pack(envelope));
    expect((await gateOf(store).restore())?.desired).toEqual(state);
  });

  it('DESIRED-6: gives nothing that was changed on disk', async () => {
    const store = new DesiredStore(folder);
    await store.saveDesired({ envelope: await sealed(state), releases: [] });
    const path = join(folder, 'desired.bin');
    const bytes = await readFile(path);
    const at = bytes.indexOf('"generation":7');
    bytes.write('9', at + '"generation":'.length);
    await writeFile(path, bytes);
    await expect(gateOf(store).restore()).rejects.toThrow(ProtocolError);
  });

  it('DESIRED-6: keeps the last plan that was served', async () => {
    const store = new DesiredStore(folder);
    expect(await store.loadLastGood()).toBeNull();
    const plan = { agent: ME, generation: 7, deployments: [] };
    await store.saveLastGood(plan);
    expect(await new DesiredStore(folder).loadLastGood()).toEqual(plan);
  });
});
