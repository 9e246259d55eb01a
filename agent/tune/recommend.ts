import type { Serving } from '../../protocol/serving.ts';
import type { TuningRow } from '../../protocol/tuning.ts';
import { INLINE_LIMIT_US } from '../engine/model/placement.ts';
import { showCombination } from './combinations.ts';

/** Figures as close as this are the same, as often as one measures. */
const SAME = 1.1;

/**
 * What a table recommends. Of the rows at the smallest batch:
 *
 * 1. Inline when the fastest inline call takes less than `INLINE_LIMIT_US`. Otherwise on workers, so that the thread
 *    that serves stays free while the model computes (inline only when no worker could be measured).
 * 2. Of these, the ones within 10 % of the smallest latency; of those the ones within
 *    10 % of the most rows per second; of those the one with the fewest threads.
 * 3. `maxBatchSize` is the smallest batch size within 10 % of the most rows per second under the placement chosen:
 *    beyond it a larger batch gains nothing that its first row should wait for.
 */
export function recommend(rows: readonly TuningRow[]): { recommended: Serving; reason: string } {
  const smallest = Math.min(...rows.map(({ batchSize }) => batchSize));
  const single = rows.filter(({ batchSize }) => batchSize === smallest);
  const inline = single.filter(({ placement }) => placement === 'inline');
  const workers = single.filter(({ placement }) => placement === 'worker');
  const isShort = inline.some(({ callUs }) => callUs < INLINE_LIMIT_US);
  const pool = isShort || workers.length === 0 ? inline : workers;
  const chosen = best(pool);
  const maxBatchSize = batchSizeFor(rows, chosen);
  const { placement, workers: count, intraOpThreads } = chosen;
  const recommended: Serving = {
    batching: { maxBatchSize },
    placement,
    ...(placement === 'worker' ? { workers: count } : {}),
    intraOpThreads,
  };
  const fastest = best(inline.length === 0 ? single : inline).callUs;
  const why =
    pool === workers
      ? `a call takes ${Math.round(fastest)} us inline, over ${INLINE_LIMIT_US}: workers keep the serving thread free`
      : `a call takes ${Math.round(fastest)} us, ${isShort ? `under ${INLINE_LIMIT_US}` : 'and no worker could be measured'}: inline`;
  return {
    recommended,
    reason: `${why}; ${showCombination(chosen)}, up to ${maxBatchSize} rows a call`,
  };
}

function best(rows: readonly TuningRow[]): TuningRow {
  const least = Math.min(...rows.map(({ callUs }) => callUs));
  const quick = rows.filter(({ callUs }) => callUs <= least * SAME);
  const most = Math.max(...quick.map(({ rowsPerSecond }) => rowsPerSecond));
  const [first] = quick
    .filter(({ rowsPerSecond }) => rowsPerSecond * SAME >= most)
    .sort((a, b) => threadsOf(a) - threadsOf(b));
  if (first === undefined) throw new RangeError('a recommendation needs at least one measured row');
  return first;
}

const threadsOf = ({ workers, intraOpThreads }: TuningRow) => Math.max(workers, 1) * intraOpThreads;

function batchSizeFor(rows: readonly TuningRow[], chosen: TuningRow): number {
  const sizes = rows.filter(
    (row) =>
      row.placement === chosen.placement &&
      row.workers === chosen.workers &&
      row.intraOpThreads === chosen.intraOpThreads,
  );
  const most = Math.max(...sizes.map(({ rowsPerSecond }) => rowsPerSecond));
  const enough = sizes.filter(({ rowsPerSecond }) => rowsPerSecond * SAME >= most);
  // A model whose batch is fixed, or whose rows may not share a call, takes requests one by one.
  return sizes.length === 1 ? 1 : Math.min(...enough.map(({ batchSize }) => batchSize));
}
