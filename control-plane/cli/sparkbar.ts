const BARS = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'] as const;

/**
 * One character per column, of height value / full (clipped); a space where there is no value. More values than columns
 * are put together by their largest: a spike must not vanish because it was short.
 */
export function sparkbar(
  values: readonly (number | null)[],
  columns: number,
  full: number,
): string {
  const width = Math.min(columns, values.length);
  return Array.from({ length: width }, (_, at) => {
    const from = Math.floor((at * values.length) / width);
    const to = Math.floor(((at + 1) * values.length) / width);
    const known = values.slice(from, to).filter((value) => value !== null);
    if (known.length === 0) return ' ';
    const share = Math.min(1, Math.max(0, Math.max(...known) / full));
    return BARS[Math.min(BARS.length - 1, Math.floor(share * BARS.length))];
  }).join('');
}
