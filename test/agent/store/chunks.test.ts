import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { ArtifactStore } from '../../../agent/store/artifacts.ts';
import { ProgressBoard } from '../../../agent/store/progress.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';
import { ArtifactServer } from '../../support/artifact-server.ts';

const MIB = 2 ** 20;
const never = new AbortController().signal;

function weights(sizeBytes: number, seed: number): Buffer {
  const random = seededUniform(seed);
  return Buffer.from(Uint8Array.from({ length: sizeBytes }, () => Math.floor(256 * random())));
}

/** A model, and one trained further: 60 KB of it are others. */
const OLD = weights(3 * MIB, 1);
const NEW = Buffer.from(OLD);
NEW.set(weights(60_000, 2), 1_500_000);

let server: ArtifactServer;
let folder: string;
let store: ArtifactStore;
const old = { version: '', modelPath: '' };
let version: string;

beforeAll(async () => {
  server = await new ArtifactServer().start();
  await server.putChunks(OLD);
  old.version = server.putVersion(OLD);
  version = server.putVersion(NEW);
});
afterAll(() => server.stop());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'chunks-'));
  await server.putChunks(NEW);
  store = new ArtifactStore(folder);
  old.modelPath = (await store.ensure(old.version, server.source, never)).modelPath;
  server.asked.length = 0;
  server.sentBytes = 0;
  server.intercept = () => false;
});
afterEach(() => rm(folder, { recursive: true }));

async function fetched(): Promise<boolean> {
  const { modelPath } = await store.ensure(version, server.source, never);
  return (await readFile(modelPath)).equals(NEW);
}

/** Requests for bytes of the model, as the ranges they named. */
const ranges = () => server.asked.filter((line) => / bytes=[1-9]/.test(line));

describe('CHUNK-4: a version that shares most of its bytes with one that is here', () => {
  it('is put together, and only what it does not share is downloaded', async () => {
    expect(await fetched()).toBe(true);
    expect(server.sentBytes).toBeLessThan(OLD.length / 8);
    expect(ranges()).toHaveLength(1);
  });

  it('is put together also after a restart, and from files that came whole', async () => {
    await rm(`${old.modelPath}.chunks`);
    store = new ArtifactStore(folder);
    expect(await fetched()).toBe(true);
    expect(server.sentBytes).toBeLessThan(OLD.length / 8);
    // The index that was made is kept.
    expect((await readFile(`${old.modelPath}.chunks`)).length).toBeGreaterThan(1000);
  });

  it('is not spoiled by what has rotted there', async () => {
    const rotten = Buffer.from(OLD);
    rotten[100_000] ^= 1;
    rotten[2_900_000] ^= 1;
    await writeFile(old.modelPath, rotten);
    expect(await fetched()).toBe(true);
    expect(ranges().length + 1).toBeGreaterThanOrEqual(3);
    expect(server.sentBytes).toBeLessThan(OLD.length / 3);
  });

  it('comes whole from a control plane that knows no chunks', async () => {
    for (const name of server.documents.keys()) server.documents.delete(name);
    expect(await fetched()).toBe(true);
    expect(server.sentBytes).toBeGreaterThan(NEW.length);
    await server.putChunks(OLD);
  });
});

it('CHUNK-4: many stretches come over one connection', async () => {
  const scattered = Buffer.from(OLD);
  for (let at = 100_000; at < OLD.length; at += 500_000) scattered[at] ^= 1;
  await server.putChunks(scattered);
  const before = server.connections;
  const { modelPath } = await store.ensure(server.putVersion(scattered), server.source, never);
  expect((await readFile(modelPath)).equals(scattered)).toBe(true);
  expect(ranges().length).toBeGreaterThan(4);
  expect(server.connections - before).toBeLessThanOrEqual(1);
});

describe('PROGRESS-1: how far a file is', () => {
  it('counts what the host had already, up to the whole, and is over at the end', async () => {
    const progress = new ProgressBoard(() => undefined);
    const seen: number[] = [];
    progress.set = (download) => {
      seen.push(download.doneBytes);
      expect([download.manifest, download.totalBytes]).toEqual([version, NEW.length]);
    };
    store = new ArtifactStore(folder, { progress });
    expect(await fetched()).toBe(true);
    expect(seen.length).toBeGreaterThan(20);
    expect(seen).toEqual(seen.toSorted((a, b) => a - b));
    expect(seen.at(-1)).toBe(NEW.length);
  });
});

describe('CHUNK-5: chunks on their way', () => {
  it('that were cut off go on with the chunk that is missing', async () => {
    await rm(old.modelPath);
    let cut = 0;
    server.intercept = (req, res) => {
      if (cut > 0 || !/^bytes=0-/.test(req.headers.range ?? '')) return false;
      if (!req.url?.includes(nameOf(NEW))) return false;
      cut += 1;
      res.writeHead(206, { 'content-range': `bytes 0-${NEW.length - 1}/${NEW.length}` });
      res.write(NEW.subarray(0, MIB + 1), () => res.socket?.end());
      return true;
    };
    await expect(fetched()).rejects.toMatchObject({ code: 'artifact-unavailable' });
    expect(await fetched()).toBe(true);
    const [first, ...others] = ranges();
    expect(others).toEqual([]);
    const from = Number(/bytes=(\d+)-/.exec(first)?.[1]);
    expect(from).toBeGreaterThan(MIB / 2);
    expect(from).toBeLessThanOrEqual(MIB);
  });

  it('that have rotted in the part are downloaded again, with what is behind them', async () => {
    await rm(old.modelPath);
    const digest = nameOf(NEW).slice('sha256:'.length);
    const rotten = Buffer.from(NEW.subarray(0, 2 * MIB));
    rotten[MIB] ^= 1;
    await mkdir(join(folder, 'sha256', digest.slice(0, 2)), { recursive: true });
    await writeFile(join(folder, 'sha256', digest.slice(0, 2), `${digest}.part`), rotten);
    expect(await fetched()).toBe(true);
    expect(server.sentBytes).toBeGreaterThan(2 * MIB);
    expect(server.sentBytes).toBeLessThan(2.4 * MIB);
  });

  it('that came with other bytes are asked for again, once, and what was right stays', async () => {
    await rm(old.modelPath);
    let spoiled = 0;
    server.intercept = (req, res) => {
      const from = Number(/^bytes=(\d+)-/.exec(req.headers.range ?? '')?.[1] ?? Number.NaN);
      if (spoiled > 0 || Number.isNaN(from) || !req.url?.includes(nameOf(NEW))) return false;
      spoiled += 1;
      const bytes = Buffer.from(NEW);
      bytes[2 * MIB] ^= 1;
      res.writeHead(206, { 'content-range': `bytes ${from}-${NEW.length - 1}/${NEW.length}` });
      res.end(bytes.subarray(from));
      return true;
    };
    expect(await fetched()).toBe(true);
    expect(server.sentBytes).toBeLessThan(MIB * 1.2);
  });

  it('of an index that lies are left, and the file comes whole', async () => {
    const index = await server.putChunks(NEW);
    const [one, two, ...rest] = index.chunks;
    const lying = { ...index, chunks: [two, one, ...rest] };
    server.documents.set(`${index.digest}/chunks`, lying);
    expect(await fetched()).toBe(true);
    expect(server.sentBytes).toBeGreaterThan(NEW.length);
  });

  it('that a file repeats are downloaded once', async () => {
    const zeros = Buffer.concat([new Uint8Array(4 * MIB), weights(100_000, 9)]);
    await server.putChunks(zeros);
    const { modelPath } = await store.ensure(server.putVersion(zeros), server.source, never);
    expect((await readFile(modelPath)).equals(zeros)).toBe(true);
    expect(server.sentBytes).toBeLessThan(MIB);
  });
});

function nameOf(bytes: Uint8Array): string {
  return server.put(bytes);
}
