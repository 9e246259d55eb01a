import { MAX_FEATURES, MAX_WINDOW_BYTES } from '../../protocol/limits.ts';
import { decodeWindow, encodeWindow } from '../../protocol/sketch/codec.ts';
import { SketchError } from '../../protocol/sketch/error.ts';
import { MAX_BINS } from '../../protocol/sketch/grid.ts';
import {
  emptyWindow,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../protocol/sketch/window.ts';

/** Windows of one host that were added up may need more bytes than each of them. */
const STORED_LIMITS = {
  maxBytes: 16 * MAX_WINDOW_BYTES,
  maxFeatures: MAX_FEATURES,
  maxBins: MAX_BINS,
};
const LIMITS = { maxBytes: MAX_WINDOW_BYTES, maxFeatures: MAX_FEATURES, maxBins: MAX_BINS };

export type Decoded =
  | { readonly kind: 'window'; readonly window: WindowSketch }
  | { readonly kind: 'refused'; readonly reason: string };

/**
 * A host's window, if it was counted on this version's grids. A refusal is a value and not an
 * error: one broken host must not stop the merge of the others.
 */
export function decodeOnGrids(body: Uint8Array, grids: WindowGrids): Decoded {
  try {
    const window = decodeWindow(body, LIMITS);
    // Merging into an empty window of the version checks each feature's kind and cells.
    const checked = emptyWindow(grids);
    mergeWindow(checked, window);
    return { kind: 'window', window: checked };
  } catch (cause) {
    if (!(cause instanceof SketchError)) throw cause;
    return { kind: 'refused', reason: cause.message };
  }
}

/**
 * `stored` plus `window`, encoded; `stored` null when it is the first. Throws `SketchError` when a sum is past what
 * counts hold.
 */
export function foldWindow(stored: Uint8Array | null, window: WindowSketch): Uint8Array {
  if (stored === null) return encodeWindow(window);
  const into = decodeWindow(stored, STORED_LIMITS);
  mergeWindow(into, window);
  return encodeWindow(into);
}
