import {
  emptyWindow,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../protocol/sketch/window.ts';

/**
 * Windows put together until they can be judged: low traffic makes long blocks, high traffic one
 * block per window. Mutable: one per monitored version, owned by its watcher.
 */
export interface Block {
  readonly window: WindowSketch;
  startMs: number;
  endMs: number;
  /** Hosts' windows in it. */
  windows: number;
}

/** Fewer rows can't tell drift from chance (`research/monitoring.md` (iii) D, n_min). */
export const MIN_BLOCK_ROWS = 200;

/** Requests that end a block which answers few rows because most requests fail. */
export const MIN_BLOCK_REQUESTS = 200;

export function emptyBlock(grids: WindowGrids): Block {
  return { window: emptyWindow(grids), startMs: Number.MAX_SAFE_INTEGER, endMs: 0, windows: 0 };
}

/** @throws SketchError `shape` when the window was counted on other cells; `block` stays as it was */
export function addToBlock(
  block: Block,
  window: WindowSketch,
  startMs: number,
  windowMs: number,
): void {
  mergeWindow(block.window, window);
  block.startMs = Math.min(block.startMs, startMs);
  block.endMs = Math.max(block.endMs, startMs + windowMs);
  block.windows += 1;
}

/**
 * Whether a block can be judged: enough rows, and something newer than the last judged block. The
 * second keeps a fleet of many hosts at one step per window, which the false-alarm budget counts on.
 */
export function isRipe(block: Block, judgedUntilMs: number): boolean {
  const enough = block.window.rows >= MIN_BLOCK_ROWS || block.window.requests >= MIN_BLOCK_REQUESTS;
  return enough && block.endMs > judgedUntilMs;
}
