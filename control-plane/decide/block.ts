import { mergeEvaluators } from '../../protocol/sketch/evaluator.ts';
import { mergeTensorSketch } from '../../protocol/sketch/tensor-sketch.ts';
import {
  emptyWindow,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../protocol/sketch/window.ts';
import { partOf } from './outcome-sum.ts';
import { labelledRows } from './performance-signal.ts';

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
  readonly hosts: Set<string>;
}

/** Fewer rows can't tell drift from chance (`research/monitoring.md` (iii) D, n_min). */
export const MIN_BLOCK_ROWS = 200;

/** Requests that end a block which answers few rows because most requests fail. */
export const MIN_BLOCK_REQUESTS = 200;

/** Scored answers that an evaluator is judged on; fewer wait for more. */
export const MIN_SCORED = 50;

export function emptyBlock(grids: WindowGrids): Block {
  return {
    window: emptyWindow(grids),
    ...{ startMs: Number.MAX_SAFE_INTEGER, endMs: 0, windows: 0 },
    hosts: new Set(),
  };
}

/**
 * What the next block begins with: samples that were too few to be judged in `judged` wait for more. They are all that
 * is in it, so it is ripe no sooner.
 */
export function nextBlock(judged: Block, grids: WindowGrids): Block {
  const next = emptyBlock(grids);
  const { evaluators, tensors } = judged.window;
  const few = evaluators.filter(({ scores }) => scores.moments.count < MIN_SCORED);
  mergeEvaluators(next.window.evaluators, few);
  for (const [at, tensor] of tensors.entries()) {
    if (tensor.rows < MIN_BLOCK_ROWS) mergeTensorSketch(next.window.tensors[at], tensor);
  }
  return next;
}

/**
 * Labels in it are left out: they are judged when they come (`LabelLane`).
 *
 * @throws SketchError `shape` when the window was counted on other cells; `block` stays as it was
 */
export function addToBlock(
  block: Block,
  window: WindowSketch,
  startMs: number,
  windowMs: number,
  host = '',
): void {
  const { outcome } = window;
  const labelled = outcome !== null && labelledRows(outcome) > 0;
  mergeWindow(
    block.window,
    labelled ? { ...window, outcome: partOf(outcome, 'predictions') } : window,
  );
  block.startMs = Math.min(block.startMs, startMs);
  block.endMs = Math.max(block.endMs, startMs + windowMs);
  block.windows += 1;
  block.hosts.add(host);
}

/** Whose windows a block should hold, and how long a window is: what is waited for. */
export interface Awaited {
  readonly hosts: ReadonlySet<string>;
  readonly windowMs: number;
}

/**
 * Whether a block can be judged: enough rows, and something newer than the last judged block. The second keeps a fleet
 * of many hosts at one step per window, which the false-alarm budget counts on. The hosts of the block before are waited
 * for, a window long: judged at the first window that comes, a fleet would be taken for its fastest host.
 */
export function isRipe(
  block: Block,
  judgedUntilMs: number,
  awaited: Awaited | null = null,
): boolean {
  const enough = block.window.rows >= MIN_BLOCK_ROWS || block.window.requests >= MIN_BLOCK_REQUESTS;
  if (!enough || block.endMs <= judgedUntilMs) return false;
  if (awaited === null || block.endMs > judgedUntilMs + awaited.windowMs) return true;
  return [...awaited.hosts].every((host) => block.hosts.has(host));
}
