import type { HistogramGrid } from '../../../protocol/sketch/grid.ts';
import {
  addNumeric,
  type NumericSketch,
  type TensorRows,
} from '../../../protocol/sketch/histogram.ts';

/**
 * Counts the lengths of one column of texts, in UTF-16 units: what a string's own length says, without looking at its
 * characters. A model's tokens are fewer, in proportion. What is no text is counted as non-finite.
 */
export function addTextLengths(
  sketch: NumericSketch,
  grid: HistogramGrid,
  parts: readonly TensorRows[],
  column: number,
): void {
  for (const { data, rows, width } of parts) {
    for (let row = 0, at = column; row < rows; row += 1, at += width) {
      const text = data[at];
      addNumeric(sketch, grid, typeof text === 'string' ? text.length : Number.NaN);
    }
  }
}
