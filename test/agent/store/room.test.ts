import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StoredFile } from '../../../agent/store/inventory.ts';
import { PART_LIFE_MS, planRoom, type RoomQuestion } from '../../../agent/store/room.ts';

const NOW = 100 * PART_LIFE_MS;
const digestOf = (name: number) => `sha256:${String(name).padStart(64, '0')}`;

function file(name: number, fields: Partial<StoredFile> = {}): StoredFile {
  const { kind = 'whole' } = fields;
  const path = `${name}${kind === 'whole' ? '' : `.${kind}`}`;
  return { path, digest: digestOf(name), kind, sizeBytes: 10, modifiedMs: NOW - name, ...fields };
}

function plan(files: readonly StoredFile[], fields: Partial<RoomQuestion> = {}) {
  const limits = { quotaBytes: 100, reserveBytes: 5 };
  const { remove, short } = planRoom({
    ...{ files, kept: new Set<string>(), neededBytes: 10, freeBytes: 1000, limits, nowMs: NOW },
    ...fields,
  });
  return { remove: remove.map(({ path }) => path), short };
}

describe('ARTIFACT-10: room for a download', () => {
  it('is there: nothing is removed, up to the last byte of quota and reserve', () => {
    const files = [file(1), file(2)];
    expect(plan(files, { neededBytes: 80 })).toEqual({ remove: [], short: null });
    expect(plan(files, { neededBytes: 81 }).remove).toEqual(['2']);
    expect(plan(files, { freeBytes: 15 })).toEqual({ remove: [], short: null });
    expect(plan(files, { freeBytes: 14 }).remove).toEqual(['2']);
  });

  it('is made by what was used least recently, with its index, and never by what is kept', () => {
    const files = [file(3), file(1), file(2), file(3, { kind: 'chunks', sizeBytes: 1 })];
    const kept = new Set([digestOf(2)]);
    expect(plan(files, { neededBytes: 75 }).remove).toEqual(['3', '3.chunks']);
    expect(plan(files, { neededBytes: 90, kept })).toEqual({
      remove: ['3', '3.chunks', '1'],
      short: null,
    });
  });

  it('is not made where it would not be enough: what is short is said', () => {
    const files = [file(1), file(2)];
    const kept = new Set([digestOf(2)]);
    expect(plan(files, { neededBytes: 95, kept })).toEqual({
      remove: [],
      short: { limit: 'quota', bytes: 5 },
    });
    expect(plan(files, { freeBytes: 2, kept })).toEqual({
      remove: [],
      short: { limit: 'disk', bytes: 3 },
    });
  });

  it('is not taken by parts that nobody goes on with, nor by indexes of what is gone', () => {
    const stale = { kind: 'part' as const, modifiedMs: NOW - PART_LIFE_MS - 1 };
    const files = [file(1, stale), file(2, { ...stale, modifiedMs: NOW - PART_LIFE_MS })];
    const orphan = file(4, { kind: 'chunks' });
    expect(plan([...files, file(3, stale), orphan], { kept: new Set([digestOf(3)]) })).toEqual({
      remove: ['1.part', '4.chunks'],
      short: null,
    });
  });

  it('keeps what is kept, and has room in the end, or says that it has not', () => {
    const anyFile = fc
      .record({
        name: fc.nat({ max: 12 }),
        kind: fc.constantFrom('whole' as const, 'part' as const, 'chunks' as const),
        sizeBytes: fc.nat({ max: 40 }),
        modifiedMs: fc.integer({ min: NOW - 2 * PART_LIFE_MS, max: NOW }),
      })
      .map(({ name, ...fields }) => file(name, fields));
    const anyFiles = fc.uniqueArray(anyFile, { selector: ({ path }) => path, maxLength: 20 });
    fc.assert(
      fc.property(
        anyFiles,
        fc.array(fc.nat({ max: 12 })),
        fc.nat({ max: 120 }),
        fc.nat({ max: 200 }),
        (files, kept, neededBytes, freeBytes) => {
          const limits = { quotaBytes: 100, reserveBytes: 5 };
          const names = new Set(kept.map(digestOf));
          const question = { files, kept: names, neededBytes, freeBytes, limits, nowMs: NOW };
          const { remove, short } = planRoom(question);
          expect(remove.filter(({ digest }) => names.has(digest))).toEqual([]);
          if (short !== null) return;
          const gone = remove.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
          const held = files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0) - gone;
          expect(held + neededBytes).toBeLessThanOrEqual(100);
          if (neededBytes > 0) expect(freeBytes + gone).toBeGreaterThanOrEqual(neededBytes + 5);
        },
      ),
      { numRuns: 300 },
    );
  });
});
