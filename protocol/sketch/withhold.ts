import { decodeWindow, encodeWindow } from './codec.ts';

/** A window without its outcomes. */
export interface Withheld {
  readonly body: Uint8Array;
  /** It held labels and nothing else. */
  readonly isEmpty: boolean;
}

/**
 * An encoded window without counts per group, scores and labels; every other count stays as it is. Such a window adds
 * nothing to the outcomes that it is merged with.
 *
 * @throws SketchError when the bytes are no window
 */
export function withoutOutcomes(body: Uint8Array): Withheld {
  const window = decodeWindow(body);
  const { requests, rows, errors, evaluators, outcome } = window;
  const isEmpty = requests + rows + errors + evaluators.length === 0;
  if (outcome === null) return { body, isEmpty };
  return { body: encodeWindow({ ...window, outcome: null }), isEmpty };
}
