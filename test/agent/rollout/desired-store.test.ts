import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DesiredStore, openDesired } from '../../../agent/rollout/desired-store.ts';
import type { DesiredState } from '../../../protocol/desired.ts';
import { ProtocolError } from '../../../protocol/error.ts';
import { generateSigningKey, type SigningKey, seal } from '../../../protocol/signing.ts';

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
    expect(await openDesired(await sealed(state), key.publicKey, ME)).toEqual(state);
  });

  it('DESIRED-1: is refused when it is for another agent, by another key or for another purpose', async () => {
    const other = (await generateSigningKey()).key;
    const foreign = await sealed({ ...state, agent: `agt_${'b'.repeat(24)}` });
    for (const envelope of [
      foreign,
      await sealed(state, other),
      await sealed(state, key, 'download'),
    ]) {
      const opened = openDesired(envelope, key.publicKey, ME);
      await expect(opened).rejects.toMatchObject({ name: 'ProtocolError', kind: 'signature' });
    }
  });

  it('DESIRED-1: is refused when it breaks the schema, however well signed', async () => {
    for (const value of [{}, { ...state, generation: 0 }, null]) {
      await expect(openDesired(await sealed(value), key.publicKey, ME)).rejects.toThrow(
        ProtocolError,
      );
    }
  });
});

describe('the store of desired states', () => {
  it('DESIRED-6: gives back after a restart what was accepted, verified anew', async () => {
    const store = new DesiredStore(folder);
    expect(await store.loadDesired(key.publicKey, ME)).toBeNull();
    await store.saveDesired(await sealed(state));
    expect(await new DesiredStore(folder).loadDesired(key.publicKey, ME)).toEqual(state);
  });

  it('DESIRED-6: gives nothing that was changed on disk', async () => {
    const store = new DesiredStore(folder);
    await store.saveDesired(await sealed(state));
    const path = join(folder, 'desired.bin');
    const bytes = await readFile(path);
    const at = bytes.indexOf('"generation":7');
    bytes.write('9', at + '"generation":'.length);
    await writeFile(path, bytes);
    await expect(store.loadDesired(key.publicKey, ME)).rejects.toThrow(ProtocolError);
  });

  it('DESIRED-6: keeps the last plan that was served', async () => {
    const store = new DesiredStore(folder);
    expect(await store.loadLastGood()).toBeNull();
    const plan = { agent: ME, generation: 7, deployments: [] };
    await store.saveLastGood(plan);
    expect(await new DesiredStore(folder).loadLastGood()).toEqual(plan);
  });
});
