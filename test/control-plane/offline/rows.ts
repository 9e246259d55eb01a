import type { Row } from '../../../control-plane/offline/compare.ts';

/** The rows of the files in parquet/: what make.py wrote. */
export function parquetRows(): Row[] {
  return Array.from({ length: 300 }, (_, r) => ({
    float: r % 10 === 3 ? null : ((r * 37) % 101) / 8,
    single: ((r * 17) % 97) - 40,
    whole: (r * 7919) % 1009,
    small: r % 50 === 0 ? null : r % 3,
    flag: r % 3 === 0,
    word: r % 20 === 7 ? null : ['α', 'two', 'three, 3'][r % 3],
    late: r < 5 ? null : 'x',
    when: new Date(Date.UTC(2026, 0, 1, r)),
    list: [r],
  }));
}

export function csvOf(rows: readonly Row[], delimiter = ',', lineEnd = '\n'): string {
  const field = (value: unknown) => {
    if (value === null || value === undefined) return '';
    const text = value instanceof Date ? value.toISOString() : String(value);
    return /["\n\r]/.test(text) || text.includes(delimiter)
      ? `"${text.replaceAll('"', '""')}"`
      : text;
  };
  const names = Object.keys(rows[0]);
  const lines = [names, ...rows.map((row) => names.map((name) => row[name]))];
  return lines.map((line) => line.map(field).join(delimiter) + lineEnd).join('');
}

export function jsonLinesOf(rows: readonly Row[]): string {
  return rows.map((row) => `${JSON.stringify(row)}\n`).join('');
}
