import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Refusal } from '../../../agent/error.ts';
import { ArtifactStore } from '../../../agent/store/artifacts.ts';
import { digestOf } from '../../../agent/store/digest.ts';
import { PartFile } from '../../../agent/store/part-file.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';
import { ArtifactServer } from '../../support/artifact-server.ts';
import { CrashDisk } from '../../support/crash-disk.ts';

const ROOM = { quotaBytes: 2 ** 40, reserveBytes: 0 };
const FOLDER = 'agent/artifacts';
const never = new AbortController().signal;
const server = new ArtifactServer();
const versions: string[] = [];

beforeAll(async () => {
  await server.start();
  const random = seededUniform(7);
  for (const sizeBytes of [1, 5_000, 200_000]) {
    const model = Uint8Array.from({ length: sizeBytes }, () => Math.floor(256 * random()));
    versions.push(server.putVersion(model));
  }
});
afterAll(() => server.stop());

function storeOn(disk: CrashDisk): ArtifactStore {
  return new ArtifactStore(FOLDER, { disk, room: ROOM, now: () => disk.nowMs });
}

/** One life of a host: it fetches versions until all are here, or the power goes. */
async function live(disk: CrashDisk, here = new Set<string>()): Promise<void> {
  const store = storeOn(disk);
  for (const version of versions) {
    await store.ensure(version, server.source, never);
    here.add(version);
  }
}

/** Names of artifacts whose bytes have another digest. */
function wrong(disk: CrashDisk): string[] {
  return [...disk.files()].flatMap(([path, bytes]) => {
    const hex = path.split('/').at(-1) ?? '';
    const isWhole = /^[0-9a-f]{64}$/.test(hex);
    return isWhole && digestOf(bytes) !== `sha256:${hex}` ? [path] : [];
  });
}

const outcomeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'here',
    (error: unknown) => (error instanceof Refusal ? error.code : String(error)),
  );

let resumed = 0;

describe('ARTIFACT-8: a host that loses its power while it fetches', () => {
  it.each(Array.from({ length: 10 }, (_, block) => block))(
    'has each file whole or not at all, and goes on: seeds %i × 50 and on, two crashes each',
    async (block) => {
      let crashes = 0;
      for (let seed = 50 * block; seed < 50 * block + 50; seed += 1) {
        const random = seededUniform(seed);
        const disk = new CrashDisk(random);
        const here = new Set<string>();
        for (let life = 0; life < 2; life += 1) {
          disk.crashAfter(Math.floor(random() * 160));
          if ((await outcomeOf(live(disk, here))) !== 'here') crashes += 1;
          disk.restart();
          expect(wrong(disk), `seed ${seed}, life ${life}`).toEqual([]);
          // What was here once is here for good; what isn't says so, and harms nobody.
          for (const version of versions) {
            const offline = await outcomeOf(storeOn(disk).ensure(version, null, never));
            const allowed = here.has(version) ? ['here'] : ['here', 'artifact-unavailable'];
            expect(allowed, `seed ${seed}, life ${life}`).toContain(offline);
          }
        }
        const asked = server.asked.length;
        await live(disk);
        if (server.asked.slice(asked).some((line) => !line.endsWith('bytes=0-'))) resumed += 1;
        expect(wrong(disk)).toEqual([]);
        const parts = [...disk.files().keys()].filter((path) => path.endsWith('.part'));
        expect(parts, `seed ${seed}`).toEqual([]);
      }
      expect(crashes).toBeGreaterThan(60);
    },
  );

  it('finds what was synced of a part, also when the power goes before anything else is', async () => {
    const disk = new CrashDisk(() => 0);
    await disk.makeFolder('agent/parts');
    await disk.syncFolder('agent');
    const part = await PartFile.open(disk, 'agent/parts/a.part');
    await part.append(new Uint8Array(1000));
    await part.sync();
    await part.append(new Uint8Array(1000));
    disk.restart();
    expect(disk.files().get('agent/parts/a.part')).toHaveLength(1000);
  });

  it('went on with parts, and did not begin each file anew', () => {
    expect(resumed).toBeGreaterThan(2);
  });
});

describe('ARTIFACT-9: a disk that is full', () => {
  it.each([0, 1, 4_000, 100_000])(
    'after %i bytes refuses as disk-full, and goes on once there is room',
    async (roomBytes) => {
      const disk = new CrashDisk(seededUniform(1));
      const store = new ArtifactStore(FOLDER, { disk, room: ROOM, now: () => 0 });
      // Reported as free, and then not there: another program was faster.
      disk.freeBytes = async () => 2 ** 40;
      disk.leftBytes = roomBytes;
      const fetched = () => store.ensure(versions[2], server.source, never);
      await expect(fetched()).rejects.toMatchObject({ code: 'disk-full' });
      expect(wrong(disk)).toEqual([]);
      disk.leftBytes = Number.POSITIVE_INFINITY;
      await fetched();
      expect(wrong(disk)).toEqual([]);
    },
  );

  it('already when a file is opened, is disk-full and no error without a name', async () => {
    const disk = new CrashDisk(seededUniform(1));
    disk.openAppend = async () => {
      throw Object.assign(new Error('ENOSPC: no space left on device, open'), { code: 'ENOSPC' });
    };
    const { code, message } = await storeOn(disk)
      .ensure(versions[0], server.source, never)
      .then(
        () => new Refusal('not-onnx', 'it was fetched'),
        (error: Refusal) => error,
      );
    expect([code, message]).toEqual(['disk-full', expect.stringContaining(versions[0])]);
  });
});
