import { cpus, release, totalmem } from 'node:os';
import type { Cores } from './child.ts';

export interface Quartiles {
  readonly q1: number;
  readonly median: number;
  readonly q3: number;
}

/** Quartiles by linear interpolation between order statistics (R's type 7). */
export function quartiles(values: readonly number[]): Quartiles {
  const sorted = Float64Array.from(values).sort();
  const at = (share: number) => {
    const place = share * (sorted.length - 1);
    const low = Math.floor(place);
    return sorted[low] + (place - low) * (sorted[Math.ceil(place)] - sorted[low]);
  };
  return { q1: at(0.25), median: at(0.5), q3: at(0.75) };
}

export function median(values: readonly number[]): number {
  return quartiles(values).median;
}

export function showQuartiles({ q1, median: middle, q3 }: Quartiles): string {
  return `${middle.toFixed(2)} (${q1.toFixed(2)}-${q3.toFixed(2)})`;
}

/** What a figure has to be read against. */
export function machineLine(cores: Cores): string {
  const [first] = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  const pinned =
    cores.server === null
      ? 'not pinned'
      : `server on core ${cores.server}, load on core ${cores.load}`;
  return `${cpus().length} x ${first.model.trim()}, ${memory}, Linux ${release()}, Node ${process.versions.node}; ${pinned}`;
}

/** Columns lined up on the right; the first row is the heading. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0].map((_, at) => Math.max(...rows.map((row) => row[at].length)));
  return rows.map((row) => row.map((cell, at) => cell.padStart(widths[at])).join('  ')).join('\n');
}

/** One line about a goal: `>= 1.5; 1.62 (1.58-1.66), met`. */
export function verdict(what: string, goal: Goal, found: Quartiles | number): string {
  const value = typeof found === 'number' ? found : found.median;
  const shown = typeof found === 'number' ? found.toFixed(2) : showQuartiles(found);
  const met = goal.kind === 'at least' ? value >= goal.value : value <= goal.value;
  const sign = goal.kind === 'at least' ? '>=' : '<=';
  return `${what}: goal ${sign} ${goal.value}; ${shown}, ${met ? 'met' : 'MISSED'}`;
}

export interface Goal {
  readonly kind: 'at least' | 'at most';
  readonly value: number;
}

export function atLeast(value: number): Goal {
  return { kind: 'at least', value };
}

export function atMost(value: number): Goal {
  return { kind: 'at most', value };
}
