import { MAX_FEATURES, MAX_WINDOW_BYTES } from '../../protocol/limits.ts';
import { decodeWindow, encodeWindow, KEPT_FORMAT } from '../../protocol/sketch/codec.ts';
import { SketchError } from '../../protocol/sketch/error.ts';
import { MAX_BINS } from '../../protocol/sketch/grid.ts';
import {
  emptyWindow,
  joinWindows,
  mergeWindow,
  requireSameShape,
  type WindowGrids,
  type WindowSketch,
  withSections,
} from '../../protocol/sketch/window.ts';
import type { Summand } from '../store/rollups.ts';
import { type Refused, refusedBySketch } from './refuse.ts';

/** Windows of one host that were added up may need more bytes than each of them. */
export const STORED_LIMITS = {
  maxBytes: 16 * MAX_WINDOW_BYTES,
  maxFeatures: MAX_FEATURES,
  maxBins: MAX_BINS,
};
const LIMITS = { maxBytes: MAX_WINDOW_BYTES, maxFeatures: MAX_FEATURES, maxBins: MAX_BINS };

export type Decoded = { readonly kind: 'window'; readonly window: WindowSketch } | Refused;

/**
 * A host's window, if it was counted on this version's grids. A refusal is a value and not an
 * error: one broken host must not stop the merge of the others.
 */
export function decodeOnGrids(body: Uint8Array, grids: WindowGrids): Decoded {
  try {
    const window = decodeWindow(body, LIMITS);
    requireSameShape(emptyOf(grids), window);
    return { kind: 'window', window: withSections(window, grids) };
  } catch (cause) {
    if (!(cause instanceof SketchError)) throw cause;
    return refusedBySketch(cause);
  }
}

/** Empty windows of versions at hand, to compare with: made anew for each window, they took longer than to decode it. */
const empties = new WeakMap<WindowGrids, WindowSketch>();

function emptyOf(grids: WindowGrids): WindowSketch {
  let empty = empties.get(grids);
  if (empty === undefined) {
    empty = emptyWindow(grids);
    empties.set(grids, empty);
  }
  return empty;
}

/**
 * `stored` plus a window that came as `body`, encoded. The first one is kept as it came: its bytes were checked.
 *
 * @throws SketchError when a sum is past what counts hold
 */
export function foldWindow(
  stored: Uint8Array | null,
  window: WindowSketch,
  body: Uint8Array = encodeWindow(window),
): Uint8Array {
  // A copy: it came as a part of a frame, and libSQL would store the frame's whole buffer.
  if (stored === null) return new Uint8Array(body);
  // As sums are kept: rounded to the coarser steps of the wire each time, one of many engines would drift off.
  return encodeWindow(joinWindows(decodeWindow(stored, STORED_LIMITS), window), KEPT_FORMAT);
}

/**
 * Stored windows of one version added up: exact in every count, and encoded once, so that what rounding the bins' means
 * costs does not grow with how many there are. Rows that can't be read are left out; null when none is left.
 *
 * @throws SketchError `value` when a sum is past what counts hold
 */
export function sumUp(parts: readonly Summand[]): Summand | null {
  const sum = { parts: 0, requests: 0, rows: 0, errors: 0 };
  let into: WindowSketch | null = null;
  for (const part of parts) {
    const window = decodeStored(part.body);
    if (window === null) continue;
    into = into === null ? window : joinWindows(into, window);
    sum.parts += part.parts;
    sum.requests += part.requests;
    sum.rows += part.rows;
    sum.errors += part.errors;
  }
  return into === null ? null : { ...sum, body: encodeWindow(into, KEPT_FORMAT) };
}

/** Adds a stored window, if it can be read and was counted on the same cells; one damaged row hides no other. */
export function addDecoded(into: WindowSketch, body: Uint8Array): boolean {
  try {
    mergeWindow(into, decodeWindow(body, STORED_LIMITS));
    return true;
  } catch (cause) {
    if (!(cause instanceof SketchError)) throw cause;
    return false;
  }
}

function decodeStored(body: Uint8Array): WindowSketch | null {
  try {
    return decodeWindow(body, STORED_LIMITS);
  } catch (cause) {
    if (!(cause instanceof SketchError)) throw cause;
    return null;
  }
}
