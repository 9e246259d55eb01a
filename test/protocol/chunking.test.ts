import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type ChunkIndex, indexChunks, parseChunkIndex } from '../../protocol/chunk-index.ts';
import { Chunker, MAX_CHUNK_BYTES, MIN_CHUNK_BYTES } from '../../protocol/chunking.ts';
import { seededUniform } from './statistics/seeded.ts';

const sha256 = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
const newHasher = () => createHash('sha256');

function randomBytes(length: number, seed: number): Uint8Array {
  const random = seededUniform(seed);
  return Uint8Array.from({ length }, () => Math.floor(256 * random()));
}

function cutsOf(pieces: readonly Uint8Array[]): number[] {
  const chunker = new Chunker();
  const sizes = pieces.flatMap((piece) => chunker.push(piece));
  const last = chunker.finish();
  return last > 0 ? [...sizes, last] : sizes;
}

async function* piecesOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let turn = 0; at < bytes.length; turn += 1) {
    const size = sizes[turn % sizes.length];
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

const indexOf = (bytes: Uint8Array, sizes = [70_001]) =>
  indexChunks(sha256(bytes), piecesOf(bytes, sizes), newHasher);
const digestsOf = ({ chunks }: ChunkIndex) => new Set(chunks.map(({ digest }) => digest));
const NOISE = randomBytes(3_000_000, 1);
/** Its first cuts, as they were when hosts began to keep chunks. */
const PINNED = [38_384, 67_291, 66_927, 103_878, 31_119];

describe('CHUNK-1: where a file is cut', () => {
  it('its chunks put together are the file, each by its digest, however it came in pieces', async () => {
    const whole = await indexOf(NOISE, [NOISE.length]);
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 0, max: 400_000 }),
        fc.array(fc.integer({ min: 1, max: 90_000 }), { minLength: 1, maxLength: 5 }),
        async (length, sizes) => {
          const bytes = NOISE.subarray(0, length);
          const { chunks, sizeBytes } = await indexOf(bytes, sizes);
          expect(sizeBytes).toBe(length);
          let at = 0;
          for (const { digest, sizeBytes: size } of chunks) {
            expect(sha256(bytes.subarray(at, at + size))).toBe(digest);
            at += size;
          }
          expect(at).toBe(length);
          // A cut needs no look at what comes behind it.
          expect(chunks.slice(0, -1)).toEqual(
            whole.chunks.slice(0, Math.max(0, chunks.length - 1)),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  it.each([
    ['noise', NOISE],
    ['zeros', new Uint8Array(2_000_000)],
    ['a pattern', Uint8Array.from({ length: 2_000_000 }, (_, at) => at % 97)],
  ])('chunks of %s are within their bounds, but for the last', (_, bytes) => {
    const sizes = cutsOf([bytes]);
    for (const size of sizes.slice(0, -1)) expect(size).toBeGreaterThanOrEqual(MIN_CHUNK_BYTES);
    for (const size of sizes) expect(size).toBeLessThanOrEqual(MAX_CHUNK_BYTES);
  });

  it('on average a chunk of noise has about 64 KiB', () => {
    const average = NOISE.length / cutsOf([NOISE]).length;
    expect(average).toBeGreaterThan(48 * 1024);
    expect(average).toBeLessThan(96 * 1024);
  });

  it('is pinned: another cut would find no chunk of what hosts have', () => {
    expect(cutsOf([NOISE]).slice(0, 5)).toEqual(PINNED);
  });
});

describe('CHUNK-2: after a change', () => {
  it.each([
    ['an insertion', 1_000_001, 0, randomBytes(333, 2)],
    ['a deletion', 1_500_000, 1_000, new Uint8Array(0)],
    ['bytes in place', 2_000_000, 5_000, randomBytes(5_000, 3)],
    ['bytes in front', 0, 0, randomBytes(10, 4)],
  ])('of %s only chunks around it are others', async (_, at, removed, inserted) => {
    const changed = Buffer.concat([NOISE.subarray(0, at), inserted, NOISE.subarray(at + removed)]);
    const [before, after] = [await indexOf(NOISE), await indexOf(changed)];
    const known = digestsOf(before);
    const fresh = after.chunks.filter(({ digest }) => !known.has(digest));
    expect(fresh.length).toBeGreaterThan(0);
    expect(fresh.length).toBeLessThanOrEqual(4);
  });
});

describe('CHUNK-3: an index', () => {
  const text = (index: unknown) => new TextEncoder().encode(JSON.stringify(index));

  it('is read back as it was written', async () => {
    const index = await indexOf(NOISE);
    expect(parseChunkIndex(text(index), index.digest, index.sizeBytes)).toEqual(index);
  });

  it('that does not fit is refused, and says why', async () => {
    const index = await indexOf(NOISE.subarray(0, 100_000));
    const [first, ...rest] = index.chunks;
    const other = `sha256:${'0'.repeat(64)}`;
    const wrong: [unknown, RegExp][] = [
      [{ ...index, chunks: rest }, /add up to sizeBytes/],
      [{ ...index, chunks: [{ ...first, sizeBytes: 0 }, ...rest] }, /chunks/],
      [{ ...index, chunks: [{ ...first, sizeBytes: MAX_CHUNK_BYTES + 1 }, ...rest] }, /chunks/],
      [{ ...index, chunks: [{ ...first, digest: 'sha256:ab' }, ...rest] }, /digest/],
      [{ ...index, digest: other }, /the index is of sha256:0000/],
      [{ ...index, schema: 2 }, /schema/],
      [null, /invalid/],
    ];
    for (const [value, told] of wrong) {
      expect(() => parseChunkIndex(text(value), index.digest, index.sizeBytes)).toThrow(told);
    }
    const garbage = new TextEncoder().encode('{"schema":1');
    expect(() => parseChunkIndex(garbage, index.digest, 1)).toThrow('not JSON');
    const long = new Uint8Array(16 * 1024 * 1024 + 1);
    expect(() => parseChunkIndex(long, index.digest, 1)).toThrow('16777217 bytes');
  });
});
