import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SketchError } from '../../../protocol/sketch/error.ts';
import { emptyWindow, mergeWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { anyRows, exactPart, GRIDS, momentError, windowOf } from './windows.ts';

const MAX_ROUNDING = 1e-12;

function merged(...windows: WindowSketch[]): WindowSketch {
  const into = emptyWindow(GRIDS);
  for (const window of windows) mergeWindow(into, window);
  return into;
}

function expectSame(a: WindowSketch, b: WindowSketch): void {
  expect(exactPart(a)).toEqual(exactPart(b));
  expect(momentError(a, b)).toBeLessThan(MAX_ROUNDING);
}

describe('merging windows', () => {
  it('of two parts gives the window of the whole', () => {
    fc.assert(
      fc.property(anyRows, anyRows, (a, b) => {
        expectSame(merged(windowOf(a), windowOf(b)), windowOf([...a, ...b]));
      }),
    );
  });

  it('is commutative and associative', () => {
    fc.assert(
      fc.property(anyRows, anyRows, anyRows, (x, y, z) => {
        const [a, b, c] = [windowOf(x), windowOf(y), windowOf(z)];
        expectSame(merged(a, b), merged(b, a));
        expectSame(merged(merged(a, b), c), merged(a, merged(b, c)));
      }),
    );
  });

  it('with an empty window changes nothing', () => {
    fc.assert(
      fc.property(anyRows, (rows) => {
        const window = windowOf(rows);
        mergeWindow(window, emptyWindow(GRIDS));
        expect(window).toEqual(windowOf(rows));
        expect(merged(windowOf(rows))).toEqual(windowOf(rows));
      }),
      { numRuns: 30 },
    );
  });

  it('of different cells is refused, with nothing merged', () => {
    const window = windowOf([]);
    const other = emptyWindow({
      features: GRIDS.features,
      prediction: { kind: 'numeric', edges: Float64Array.of(1) },
    });
    other.requests = 1;
    const [feature] = other.features;
    feature.missing = 1;
    expect(() => mergeWindow(window, other)).toThrow(/prediction: .* 2 cells into numeric with 4/);
    expect(() => mergeWindow(window, other)).toThrow(SketchError);
    expect(window).toEqual(windowOf([]));
    const fewer = emptyWindow({ features: [], prediction: GRIDS.prediction });
    expect(() => mergeWindow(window, fewer)).toThrow('cannot merge 0 features into 4');
  });
});
