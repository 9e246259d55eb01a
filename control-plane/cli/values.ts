import { CliError } from './error.ts';

/** What stands on command lines, read into values. All throw `CliError` 'usage' that names the value. */

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `500ms`, `10s`, `5m`, `1h`, `7d` into milliseconds. */
export function parseDuration(flag: string, text: string): number {
  const [, digits, unit] = /^(\d{1,9}(?:\.\d{1,3})?)(ms|s|m|h|d)$/.exec(text) ?? [];
  const unitMs = UNITS_MS[unit ?? ''];
  if (digits === undefined || unitMs === undefined) {
    throw new CliError('usage', `${flag} is "${text}"; it must be like 500ms, 10s, 5m, 1h or 7d`);
  }
  return Math.round(Number(digits) * unitMs);
}

/** `2026-03-01`, `2026-03-01T12:00:00Z` (UTC unless it says otherwise), or `2h` for two hours before `now`. */
export function parseMoment(flag: string, text: string, now: number): number {
  if (/^[\d.]+[a-z]+$/.test(text)) return Math.max(0, now - parseDuration(flag, text));
  const iso = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,3})?)?(Z|[+-]\d\d:\d\d)?)?$/.exec(text);
  // Without a zone, JavaScript takes a date as UTC and a date with a time as local.
  const at = iso === null ? Number.NaN : Date.parse(iso[1] && !iso[4] ? `${text}Z` : text);
  if (at >= 0) return at;
  throw new CliError(
    'usage',
    `${flag} is "${text}"; it must be like 2026-03-01, 2026-03-01T12:00:00Z, or 2h for two hours ago`,
  );
}

/** `mortgage@3`. */
export function parseVersion(text: string): { model: string; version: number } {
  const [, model, digits] = /^([^@]+)@([1-9]\d{0,8})$/.exec(text) ?? [];
  if (model === undefined || digits === undefined) {
    throw new CliError('usage', `"${text}" is no version; it must be like mortgage@3`);
  }
  return { model, version: Number(digits) };
}

/** A bare `3`, or `mortgage@3` as other commands print it. */
export function parseVersionNumber(flag: string, text: string): number {
  return parseInteger(flag, text.replace(/^[^@]+@/, ''), 1, 1_000_000_000);
}

export function parseInteger(flag: string, text: string, low: number, high: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < low || value > high) {
    throw new CliError('usage', `${flag} is "${text}"; it must be an integer, ${low} to ${high}`);
  }
  return value;
}

/** A share of traffic, above 0 and at most 1. */
export function parseShare(flag: string, text: string): number {
  const value = Number(text);
  if (!(value > 0 && value <= 1)) {
    throw new CliError('usage', `${flag} is "${text}"; it must be above 0 and at most 1`);
  }
  return value;
}

/** `key=value`, given several times. */
export function parseLabels(flag: string, entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      if (at < 1) throw new CliError('usage', `${flag} is "${entry}"; it must be KEY=VALUE`);
      return [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

/** Milliseconds as people say them. */
export function showMs(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** `2026-03-01 12:00:05` in local time. */
/** 1,023 B, 1.5 KB, 12 MB: powers of 1000, as disks and networks are sold. */
export function showBytes(bytes: number): string {
  const units = ['B', 'KB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  const digits = unit === 0 || value >= 10 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

export function showTime(at: number): string {
  const date = new Date(at);
  const local = new Date(at - date.getTimezoneOffset() * 60_000);
  return local.toISOString().slice(0, 19).replace('T', ' ');
}
