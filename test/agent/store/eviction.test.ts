import { dirname } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { VersionShelf } from '../../../agent/rollout/version-shelf.ts';
import { ArtifactStore } from '../../../agent/store/artifacts.ts';
import { pathOf } from '../../../agent/store/inventory.ts';
import { PART_LIFE_MS } from '../../../agent/store/room.ts';
import { StoreRoom } from '../../../agent/store/store-room.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';
import { ArtifactServer } from '../../support/artifact-server.ts';
import { CrashDisk } from '../../support/crash-disk.ts';

const never = new AbortController().signal;
const MODEL_BYTES = 500_000;
/** Room for two versions. A manifest of unknown size asks for what one may have, 1 MiB. */
const QUOTA_BYTES = 2 ** 20 + 2 * MODEL_BYTES;

let server: ArtifactServer;
let versions: string[];
let disk: CrashDisk;
let inUse: string[];
let store: ArtifactStore;
let shelf: VersionShelf;

beforeAll(async () => {
  server = await new ArtifactServer().start();
  versions = [1, 2, 3, 4].map((seed) => {
    const random = seededUniform(seed);
    return server.putVersion(
      Uint8Array.from({ length: MODEL_BYTES }, () => Math.floor(256 * random())),
    );
  });
});
afterAll(() => server.stop());
beforeEach(() => {
  disk = new CrashDisk(seededUniform(1));
  disk.leftBytes = 2 ** 40;
  inUse = [];
  store = open(QUOTA_BYTES, 0);
  shelf = new VersionShelf(store, () => undefined);
});

function open(quotaBytes: number, reserveBytes: number): ArtifactStore {
  return new ArtifactStore('agent/artifacts', {
    disk,
    room: { quotaBytes, reserveBytes },
    now: () => disk.nowMs,
    inUse: () => inUse,
    onEvicted: (path) => shelf.evicted(path),
  });
}

async function fetch(version: string): Promise<string> {
  disk.nowMs += 1000;
  await shelf.fetch(version, server.source, never);
  return shelf.refused.get(version)?.code ?? 'here';
}

const isHere = (version: string) =>
  store.ensure(version, null, never).then(
    () => true,
    () => false,
  );

describe('ARTIFACT-10: a store that is full', () => {
  it('gives up what was used least recently, and says so to whoever has it at hand', async () => {
    const [one, two, three] = versions;
    for (const version of [one, two, one]) expect(await fetch(version)).toBe('here');
    await store.ensure(one, null, never);
    expect(await fetch(three)).toBe('here');
    expect([shelf.filesOf(two), await isHere(two)]).toEqual([null, false]);
    expect(shelf.filesOf(one)).not.toBeNull();
    // Wanted again, it comes again.
    expect(await fetch(two)).toBe('here');
    expect(await isHere(two)).toBe(true);
  });

  it('never gives up what is in use, and refuses what then finds no room', async () => {
    const [one, two, three] = versions;
    inUse = [one, two];
    for (const version of inUse) expect(await fetch(version)).toBe('here');
    expect(await fetch(three)).toBe('disk-full');
    expect(shelf.refused.get(three)?.detail).toMatch(
      /need \d+ bytes, and the store has a quota of 2048576 bytes: \d+ more are needed/,
    );
    expect([await isHere(one), await isHere(two)]).toEqual([true, true]);
    inUse = [two];
    expect(await fetch(three)).toBe('here');
    expect([await isHere(one), await isHere(two)]).toEqual([false, true]);
  });

  it('makes room at the next start when its quota was lowered, but not of what is in use', async () => {
    inUse = [versions[0]];
    for (const version of versions.slice(0, 2)) await fetch(version);
    store = open(600_000, 0);
    await store.tidy();
    expect([await isHere(versions[0]), await isHere(versions[1])]).toEqual([true, false]);
  });

  it('does not promise the same room to two that come at once', async () => {
    const limits = { quotaBytes: 100, reserveBytes: 0 };
    const root = 'agent/artifacts/sha256';
    await disk.makeFolder(root);
    const room = new StoreRoom({
      ...{ disk, root, limits, now: () => 0, inUse: () => [], onRemoved: () => undefined },
    });
    const [one, two] = versions;
    let end: () => void = () => undefined;
    const first = room.for(one, 60, () => new Promise<void>((resolve) => (end = resolve)));
    const second = room.for(two, 41, async () => 'second');
    await expect(second).rejects.toThrow('need 101 bytes, and the store has a quota of 100 bytes');
    expect(await room.for(two, 40, async () => 'fits')).toBe('fits');
    end();
    await first;
    expect(await room.for(two, 100, async () => 'alone')).toBe('alone');
  });

  it('spares what somebody comes for after it was chosen to go', async () => {
    const root = 'agent/artifacts/sha256';
    const [one, two, three] = versions;
    for (const digest of [one, two]) {
      await disk.makeFolder(dirname(pathOf(root, digest)));
      const file = await disk.openAppend(pathOf(root, digest));
      await file.append(new Uint8Array(50));
      await file.close();
    }
    const removed: string[] = [];
    const room = new StoreRoom({
      ...{ disk, root, limits: { quotaBytes: 100, reserveBytes: 0 }, now: () => 0 },
      inUse: () => [],
      onRemoved: ({ digest }) => {
        removed.push(digest);
        room.hold([digest === one ? two : one]);
      },
    });
    const make = room.for(three, 100, async () => 'all');
    await expect(make).rejects.toThrow('quota of 100 bytes');
    expect(removed).toHaveLength(1);
    const spared = removed[0] === one ? two : one;
    expect(await disk.stat(pathOf(root, spared))).not.toBeNull();
  });

  it('has whole what somebody comes for while its removal is under way', async () => {
    const [one, two, three, four] = versions;
    // Room for three versions, and for two manifests of unknown size once some have gone.
    store = open(2_500_000, 0);
    shelf = new VersionShelf(store, () => undefined);
    for (const version of [one, two, four]) expect(await fetch(version)).toBe('here');
    let begun: () => void = () => undefined;
    let end: () => void = () => undefined;
    const beginning = new Promise<void>((resolve) => (begun = resolve));
    const ending = new Promise<void>((resolve) => (end = resolve));
    const paths = [shelf.filesOf(one)?.manifestPath, shelf.filesOf(one)?.modelPath];
    const remove = disk.remove.bind(disk);
    disk.remove = async (path) => {
      if (paths.includes(path)) {
        begun();
        await ending;
      }
      await remove(path);
    };
    const coming = fetch(three);
    await beginning;
    const held = { ended: false };
    const again = store.ensure(one, server.source, never).finally(() => {
      held.ended = true;
    });
    // The file can still be seen, and its bytes are right: whoever believes that is done in some turns.
    for (let turn = 0; turn < 200 && !held.ended; turn += 1) {
      await new Promise((resolve) => setImmediate(resolve));
    }
    end();
    const files = await again;
    expect(await coming).toBe('here');
    expect([files.manifestPath, files.modelPath]).toEqual(paths);
    for (const path of [files.manifestPath, files.modelPath]) {
      expect(await disk.stat(path)).not.toBeNull();
    }
  });

  it('fetches again what is gone though it was verified', async () => {
    await fetch(versions[0]);
    const { modelPath } = await store.ensure(versions[0], null, never);
    await disk.remove(modelPath);
    await store.ensure(versions[0], server.source, never);
    expect(await disk.stat(modelPath)).not.toBeNull();
  });

  it('keeps once what two versions share', async () => {
    const before = disk.bytesIn('agent/artifacts');
    await fetch(versions[0]);
    const alone = disk.bytesIn('agent/artifacts') - before;
    await fetch(versions[0]);
    expect(disk.bytesIn('agent/artifacts') - before).toBe(alone);
  });
});

describe('ARTIFACT-10: a disk that gets full', () => {
  it('is left with its reserve, and asked before anything is written', async () => {
    store = open(2 ** 40, 100_000_000);
    shelf = new VersionShelf(store, () => undefined);
    disk.leftBytes = 100_000_000 + 2 ** 20 - 1;
    expect(await fetch(versions[0])).toBe('disk-full');
    const told = /need 1048576 bytes, and the disk has 101048575 bytes free, of which 100000000/;
    expect(shelf.refused.get(versions[0])?.detail).toMatch(told);
    expect(disk.bytesIn('agent/artifacts')).toBe(0);
    disk.leftBytes += 1;
    expect(await fetch(versions[0])).toBe('here');
  });

  it('gets back what nobody goes on with', async () => {
    let sent = 0;
    server.intercept = (req, res) => {
      if (!/^bytes=0-/.test(req.headers.range ?? '') || sent++ === 0) return false;
      res.writeHead(206, { 'content-range': `bytes 0-${MODEL_BYTES - 1}/${MODEL_BYTES}` });
      res.write(new Uint8Array(1000), () => res.socket?.end());
      return true;
    };
    expect(await fetch(versions[0])).toBe('artifact-unavailable');
    server.intercept = () => false;
    const parts = () => [...disk.files().keys()].filter((path) => path.endsWith('.part')).length;
    expect(parts()).toBe(1);
    await store.tidy();
    expect(parts()).toBe(1);
    disk.nowMs += PART_LIFE_MS + 1;
    await store.tidy();
    expect(parts()).toBe(0);
  });
});
