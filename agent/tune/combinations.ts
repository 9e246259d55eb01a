import type { TuningRow } from '../../protocol/tuning.ts';

/** One way to place a model on a host. */
export type Combination = Pick<TuningRow, 'placement' | 'workers' | 'intraOpThreads'>;

/** Rows of one call that are tried, where requests may share one. */
export const BATCH_SIZES = [1, 2, 4, 8, 16, 32, 64] as const;

/**
 * Ways that make sense on so many cores: threads in powers of two, never more of them than cores. The most telling
 * first, because a slow model may leave no time for the rest: one thread, all cores on one call, a call on each core.
 */
export function combinationsFor(cores: number): Combination[] {
  const powers = powersUpTo(cores);
  const most = powers.at(-1) ?? 1;
  const all: Combination[] = powers.map((threads) => inline(threads));
  for (const workers of powers) {
    for (const threads of powersUpTo(Math.floor(cores / workers)))
      all.push(worker(workers, threads));
  }
  const first = [inline(1), worker(1, 1), worker(1, most), worker(most, 1)];
  const seen = new Set<string>();
  return [...first, ...all].filter((each) => {
    const key = Object.values(each).join();
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

const inline = (intraOpThreads: number): Combination => ({
  placement: 'inline',
  workers: 0,
  intraOpThreads,
});

const worker = (workers: number, intraOpThreads: number): Combination => ({
  placement: 'worker',
  workers,
  intraOpThreads,
});

/** At most 16: beyond, neither helps one host's models, and the table would have no end. */
function powersUpTo(most: number): number[] {
  return [1, 2, 4, 8, 16].filter((power) => power <= most);
}

export function showCombination({ placement, workers, intraOpThreads }: Combination): string {
  const threads = `${intraOpThreads} thread${intraOpThreads === 1 ? '' : 's'}`;
  return placement === 'inline' ? `inline, ${threads}` : `${workers} x ${threads} on workers`;
}
