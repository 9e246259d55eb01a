import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Store } from '../../../control-plane/store/database.ts';
import { createJoinToken, redeemJoinToken } from '../../../control-plane/store/join-tokens.ts';

const AGENT = `agt_${'1'.repeat(24)}`;
const NOW = 1_000_000;

let dir: string;
let store: Store;

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'driftline-join-'));
  store = await Store.open(dir);
});

afterAll(async () => {
  await store.close();
  await rm(dir, { recursive: true, force: true });
});

async function make(): Promise<string> {
  const request = {
    labels: { site: 'a' },
    createdBy: 'system',
    expiresAt: NOW + 1000,
    fingerprint: 'f'.repeat(64),
  };
  const { text } = await store.write((tx) => createJoinToken(tx, request, NOW));
  return text;
}

const redeem = (text: string, now: number) =>
  store.write((tx) => redeemJoinToken(tx, text, AGENT, now));

test('a join token names the control key and is good once', async () => {
  const text = await make();
  expect(text).toMatch(/^dlj_[0-9a-f]{8}_[0-9a-f]{64}_f{32}$/);
  expect(await redeem(text, NOW + 1)).toEqual({
    labels: { site: 'a' },
    requireApproval: false,
    jurisdiction: null,
  });
  expect(await redeem(text, NOW + 2)).toBeNull();
});

test('of two redemptions at once one succeeds', async () => {
  const text = await make();
  const results = await Promise.all([redeem(text, NOW), redeem(text, NOW)]);
  expect(results.filter((grant) => grant !== null)).toHaveLength(1);
});

test('it is good before its expiry and not at it', async () => {
  const text = await make();
  expect(await redeem(text, NOW + 1000)).toBeNull();
  expect(await redeem(text, NOW + 999)).toEqual({
    labels: { site: 'a' },
    requireApproval: false,
    jurisdiction: null,
  });
});

test('a wrong secret, an unknown id and a malformed text get the same answer', async () => {
  const text = await make();
  const [prefix, id, secret, pin] = text.split('_');
  for (const bad of [
    [prefix, id, secret?.replace(/^./, (c) => (c === '0' ? '1' : '0')), pin].join('_'),
    [prefix, '00000000', secret, pin].join('_'),
    `${text}0`,
    '',
  ]) {
    expect(await redeem(bad, NOW)).toBeNull();
  }
  expect(await redeem(text, NOW)).toEqual({
    labels: { site: 'a' },
    requireApproval: false,
    jurisdiction: null,
  });
});

test('an id that another token has is not given out again', async () => {
  const request = {
    labels: {},
    createdBy: 'system',
    expiresAt: NOW + 1000,
    fingerprint: 'f'.repeat(64),
  };
  const ids = ['aaaaaaaa', 'aaaaaaaa', 'aaaaaaaa', 'bbbbbbbb'];
  const next = () => ids.shift() ?? 'aaaaaaaa';
  const made = () => store.write((tx) => createJoinToken(tx, request, NOW, next));
  const [first, second] = [await made(), await made()];
  expect([first.id, second.id]).toEqual(['aaaaaaaa', 'bbbbbbbb']);
  for (const { text } of [first, second]) expect(await redeem(text, NOW)).not.toBeNull();
  await expect(made()).rejects.toThrow('10 ids of join tokens in a row were taken');
});
