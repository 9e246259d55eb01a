import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Blobs } from '../../../control-plane/store/blobs.ts';
import { digestOf } from '../../support/control-app.ts';

const BYTES = Uint8Array.from({ length: 100 }, (_, at) => at);
const DIGEST = digestOf(BYTES);

let dir: string;
let blobs: Blobs;

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'driftline-blobs-'));
  blobs = new Blobs(dir, 100);
});

afterEach(() => rm(dir, { recursive: true, force: true }));

async function* chunks(...parts: Uint8Array[]) {
  yield* parts;
}

async function* brokenAfter(part: Uint8Array) {
  yield part;
  throw new Error('connection lost');
}

test('a file at the limit is stored under its digest', async () => {
  expect(await blobs.append(DIGEST, chunks(BYTES.subarray(0, 7), BYTES.subarray(7)), 0, null)).toBe(
    true,
  );
  expect(await blobs.size(DIGEST)).toBe(100);
  expect(await blobs.read(DIGEST, 100)).toEqual(Buffer.from(BYTES));
  const hex = DIGEST.slice(7);
  expect(await readdir(join(dir, 'blobs', 'sha256', hex.slice(0, 2)))).toEqual([hex]);
});

test('one byte past the limit is refused, announced or not', async () => {
  const more = new Uint8Array(101);
  const digest = digestOf(more);
  await expect(blobs.append(digest, chunks(more), 0, 101)).rejects.toMatchObject({
    kind: 'too-large',
  });
  await expect(blobs.append(digest, chunks(more), 0, null)).rejects.toMatchObject({
    kind: 'too-large',
  });
  expect(await blobs.size(digest)).toBeNull();
});

test('an upload that broke off continues where it stopped, also after a restart', async () => {
  const broken = blobs.append(DIGEST, brokenAfter(BYTES.subarray(0, 40)), 0, 100);
  await expect(broken).rejects.toThrow('connection lost');
  expect(await blobs.size(DIGEST)).toBeNull();
  const restarted = new Blobs(dir, 100);
  expect(await restarted.offset(DIGEST)).toBe(40);
  expect(await restarted.append(DIGEST, chunks(BYTES.subarray(40, 60)), 40, 100)).toBe(false);
  await expect(restarted.append(DIGEST, chunks(BYTES.subarray(50)), 50, 100)).rejects.toMatchObject(
    { kind: 'range' },
  );
  expect(await restarted.append(DIGEST, chunks(BYTES.subarray(60)), 60, 100)).toBe(true);
  expect(await restarted.read(DIGEST, 100)).toEqual(Buffer.from(BYTES));
});

test('bytes that do not have the digest are discarded whole', async () => {
  const wrong = BYTES.slice().reverse();
  await expect(blobs.append(DIGEST, chunks(wrong), 0, null)).rejects.toMatchObject({
    kind: 'digest-mismatch',
  });
  expect([await blobs.size(DIGEST), await blobs.offset(DIGEST)]).toEqual([null, 0]);
  expect(await blobs.append(DIGEST, chunks(BYTES), 0, null)).toBe(true);
});

test('two uploads of one file at a time: the second is told so', async () => {
  let go = () => {};
  const gate = new Promise<void>((resolve) => {
    go = resolve;
  });
  async function* slow() {
    await gate;
    yield BYTES;
  }
  const first = blobs.append(DIGEST, slow(), 0, null);
  await expect(blobs.append(DIGEST, chunks(BYTES), 0, null)).rejects.toMatchObject({
    kind: 'conflict',
  });
  go();
  expect(await first).toBe(true);
});

test('only a digest ever becomes a path', async () => {
  for (const name of ['../../etc/passwd', 'sha256:../x', `sha256:${'A'.repeat(64)}`]) {
    await expect(blobs.size(name)).rejects.toThrow();
  }
});
