import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeOnGrids, foldWindow } from '../../../control-plane/merge/fold.ts';
import { MAX_WINDOW_BYTES } from '../../../protocol/limits.ts';
import { encodeWindow } from '../../../protocol/sketch/codec.ts';
import { uniformGrid } from '../../../protocol/sketch/grid.ts';
import { GRIDS, seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

describe('folding windows', () => {
  it('adds counts exactly, whatever the parts', () => {
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 6 }),
        (parts) => {
          const random = seeded(1);
          let stored: Uint8Array | null = null;
          for (const rows of parts) stored = foldWindow(stored, syntheticWindow(random, { rows }));
          const folded = decodeOnGrids(stored ?? new Uint8Array(), GRIDS);
          const total = parts.reduce((sum, rows) => sum + rows, 0);
          expect(folded).toMatchObject({
            kind: 'window',
            window: { rows: total, requests: total },
          });
        },
      ),
      { numRuns: 30 },
    );
  });

  it('refuses what is damaged or counted on other cells, without throwing', () => {
    const bytes = encodeWindow(syntheticWindow(seeded(2), { rows: 20 }));
    const damaged = bytes.slice();
    damaged[10] ^= 1;
    expect(decodeOnGrids(damaged, GRIDS)).toMatchObject({ kind: 'refused' });
    expect(decodeOnGrids(bytes.subarray(0, 9), GRIDS)).toMatchObject({ kind: 'refused' });
    const other = { ...GRIDS, prediction: { kind: 'numeric' as const, ...uniformGrid(0, 1, 32) } };
    expect(decodeOnGrids(bytes, other)).toMatchObject({ kind: 'refused' });
    const big = new Uint8Array(MAX_WINDOW_BYTES + 1);
    expect(decodeOnGrids(big, GRIDS)).toMatchObject({ kind: 'refused' });
  });

  it('never throws on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeOnGrids(bytes, GRIDS).kind).toBe('refused');
      }),
    );
  });
});
