import type { Interval } from '../../protocol/statistics/wilson.ts';

/** Numbers as people read them. What is no number, or beyond what a float holds, is a sign and not "NaN". */

const HUGE = 1e300;
/** A number and its unit stay on one line. */
const NBSP = '\u00a0';

/** Three significant digits: `0.0123`, `12.3`, `1,230`, `1.2e-9`. */
export function figure(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  if (Math.abs(value) >= HUGE) return value > 0 ? '∞' : '−∞';
  if (value === 0) return '0';
  const size = Math.abs(value);
  const text =
    size < 1e-4 || size >= 1e9
      ? value.toExponential(1)
      : size >= 1000
        ? Math.round(value).toLocaleString('en-US')
        : String(Number(value.toPrecision(3)));
  return text.replace('-', '−');
}

/** Three decimals, for what is read in units of 0.1: PSI, W1 in σ. */
export function distance(value: number | null | undefined): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  return Math.abs(value) >= 100 ? figure(value) : value.toFixed(3).replace('-', '−');
}

export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** `12.3 %`; two decimals below 1 %. */
export function percent(share: number | null | undefined): string {
  if (share === null || share === undefined || Number.isNaN(share)) return '–';
  if (share === 0) return `0${NBSP}%`;
  const value = share * 100;
  if (Math.abs(value) < 0.005) return `${value > 0 ? '<' : '> −'}${NBSP}0.01${NBSP}%`;
  const digits = Math.abs(value) < 1 ? 2 : 1;
  return `${value.toFixed(digits).replace('-', '−')}${NBSP}%`;
}

/** A change of a share in percentage points, with its sign. */
export function points(change: number): string {
  const text = (change * 100).toFixed(1);
  return `${change > 0 ? '+' : ''}${text.replace('-', '−')}${NBSP}pp`;
}

export function between(
  interval: Interval | null | undefined,
  show: (value: number) => string,
): string {
  return interval == null ? '–' : `${show(interval.low)} to ${show(interval.high)}`;
}

/** From its natural logarithm, which still tells where the number itself is 0. */
export function pValue(logP: number): string {
  if (logP > Math.log(0.0001)) return Number(Math.exp(logP).toPrecision(2)).toString();
  const exponent = Math.floor(logP / Math.LN10);
  return exponent < -300 ? '< 1e−300' : `1e${exponent}`.replace('-', '−');
}

/** `2026-03-01 12:00:05 UTC`. A report is read where nobody knows the time zone of who made it. */
export function moment(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** A span in its largest whole unit: `45 s`, `90 min`, `36 h`, `14 days`. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  const seconds = ms / 1000;
  if (seconds < 120) return `${figure(seconds)} s`;
  if (seconds < 2 * 3600) return `${Math.round(seconds / 60)} min`;
  if (seconds < 48 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} days`;
}

/** `1 row`, `2 rows`. */
export function many(amount: number, one: string, more = `${one}s`): string {
  return `${count(amount)} ${amount === 1 ? one : more}`;
}
