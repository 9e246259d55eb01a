import { afterAll, beforeAll, expect, it } from 'vitest';
import { ArtifactStore } from '../../../agent/store/artifacts.ts';
import { digestOf } from '../../../agent/store/digest.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';
import { ArtifactServer } from '../../support/artifact-server.ts';
import { CrashDisk } from '../../support/crash-disk.ts';

const never = new AbortController().signal;
const server = new ArtifactServer();
const versions: string[] = [];
const SIZE_BYTES = 1_200_000;

beforeAll(async () => {
  await server.start();
  const random = seededUniform(3);
  const model = Uint8Array.from({ length: SIZE_BYTES }, () => Math.floor(256 * random()));
  for (const changed of [0, 100_000]) {
    const next = Uint8Array.from(model);
    for (let at = 0; at < changed; at += 1) next[600_000 + at] ^= 0x5a;
    await server.putChunks(next);
    versions.push(server.putVersion(next));
  }
});
afterAll(() => server.stop());

async function live(disk: CrashDisk): Promise<void> {
  const room = { quotaBytes: 2 ** 40, reserveBytes: 0 };
  const store = new ArtifactStore('agent/artifacts', { disk, room, now: () => 0 });
  for (const version of versions) await store.ensure(version, server.source, never);
}

let savedBytes = 0;

it.each([0, 1, 2, 3])(
  'ARTIFACT-8: a power cut while chunks are put together leaves each file whole or absent: seeds %i × 20 and on, three crashes each',
  async (block) => {
    for (let seed = 20 * block; seed < 20 * block + 20; seed += 1) {
      const random = seededUniform(seed);
      const disk = new CrashDisk(random);
      for (let life = 0; life < 3; life += 1) {
        disk.crashAfter(Math.floor(random() * 250));
        await live(disk).catch(() => undefined);
        disk.restart();
        for (const [path, bytes] of disk.files()) {
          const [hex] = /[0-9a-f]{64}$/.exec(path) ?? [];
          if (hex !== undefined) expect(digestOf(bytes), `seed ${seed}`).toBe(`sha256:${hex}`);
        }
      }
      const before = server.sentBytes;
      await live(disk);
      savedBytes += 2 * SIZE_BYTES - (server.sentBytes - before);
    }
  },
);

it('CHUNK-5: what had come before a power cut was not downloaded again', () => {
  expect(savedBytes / (80 * 2 * SIZE_BYTES)).toBeGreaterThan(0.5);
});
