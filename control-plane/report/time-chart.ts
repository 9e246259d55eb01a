import { chart, height, type Key, legend, level, place, svg, WIDE } from './chart.ts';
import { moment } from './figures.ts';
import { type Html, html } from './html.ts';

export interface TimePoint {
  readonly atMs: number;
  /** Null: nothing was measured. */
  readonly value: number | null;
  readonly low?: number;
  readonly high?: number;
}

export interface TimeSeries {
  readonly className: 'cur' | 'cur2';
  readonly text: string;
  readonly points: readonly TimePoint[];
}

export interface TimeChart {
  readonly caption: string;
  readonly series: readonly TimeSeries[];
  readonly show: (value: number) => string;
  /** The picture goes from 0, or from here, to the largest value and at least to here. */
  readonly low: number;
  readonly atLeast: number;
  readonly limits: readonly { readonly value: number; readonly text: string }[];
}

/** Points that a line is drawn through: more can't be told apart. */
const MAX_DRAWN = 200;
/** A step of so many usual steps is a gap: nothing was measured there, and no line says otherwise. */
const GAP_STEPS = 1.9;

export function timeChart(spec: TimeChart): Html | null {
  const series = spec.series.map((one) => ({ ...one, points: thinned(one.points) }));
  const all = series.flatMap(({ points }) => points);
  const values = all.flatMap(({ value, high }) => (value === null ? [] : [value, high ?? value]));
  if (values.length === 0) return null;
  const [from, to] = extent(all.map(({ atMs }) => atMs));
  const top = Math.max(spec.atLeast, ...values);
  const scale = { from, to, low: spec.low, high: top };
  const keys: Key[] = series.map(({ className, text }) => ({ className, text }));
  if (all.some(({ high }) => high !== undefined))
    keys.push({ className: 'band', text: '95 % interval' });
  const limits = spec.limits.filter(({ value }) => value <= top);
  if (limits.length > 0)
    keys.push({ className: 'limit', text: limits.map(({ text }) => text).join(', ') });
  const frame = {
    title: titleOf(spec, series),
    yTop: spec.show(top),
    yBottom: spec.show(spec.low),
    x: from === to ? [moment(from)] : [moment(from), moment(to)],
  };
  return html`<figure>
    <figcaption>${spec.caption}</figcaption>
    ${chart(frame, [
      limits.map(({ value }) => level(value, spec.low, top, 'limit')),
      series.map((one) => [band(one.points, scale), line(one, scale)]),
    ])}
    ${legend(keys)}
  </figure>`;
}

/** One line without axes, for a row of a list. */
export function sparkline(
  points: readonly TimePoint[],
  atLeast: number,
  title: string,
): Html | null {
  const drawn = thinned(points);
  const values = drawn.flatMap(({ value }) => (value === null ? [] : [value]));
  if (values.length === 0) return null;
  const [from, to] = extent(drawn.map(({ atMs }) => atMs));
  const scale = { from, to, low: 0, high: Math.max(atLeast, ...values) };
  return svg('mini', title, WIDE, 200, line({ className: 'cur', text: '', points: drawn }, scale));
}

interface Scale {
  readonly from: number;
  readonly to: number;
  readonly low: number;
  readonly high: number;
}

function line({ className, points }: TimeSeries, scale: Scale): Html {
  const path = runs(points)
    .map((run) => {
      const places = run.map(
        ({ atMs, value }) => `${x(atMs, scale)} ${height(value ?? 0, scale.low, scale.high)}`,
      );
      // A point alone is a line of no length, which round ends make a dot.
      return places.length === 1 ? `M${places[0]}h0` : `M${places.join('L')}`;
    })
    .join('');
  return html`<path class="${className}" d="${path}"/>`;
}

function band(points: readonly TimePoint[], scale: Scale): Html | null {
  const shapes = runs(points).map((run) => {
    const edge = (side: 'low' | 'high', order: readonly TimePoint[]) =>
      order.map(
        (point) =>
          `${x(point.atMs, scale)} ${height(point[side] ?? point.value ?? 0, scale.low, scale.high)}`,
      );
    return `M${[...edge('high', run), ...edge('low', [...run].reverse())].join('L')}z`;
  });
  if (points.every(({ low }) => low === undefined)) return null;
  return html`<path class="band" d="${shapes.join('')}"/>`;
}

const x = (atMs: number, { from, to }: Scale) => place(atMs, from, to, WIDE);

/** Stretches without a gap. */
function runs(points: readonly TimePoint[]): readonly (readonly TimePoint[])[] {
  const steps = points.slice(1).map(({ atMs }, at) => atMs - points[at].atMs);
  const usual = [...steps].sort((a, b) => a - b)[Math.floor(steps.length / 2)] ?? 0;
  const found: TimePoint[][] = [];
  let lastMs = Number.NEGATIVE_INFINITY;
  for (const point of points) {
    if (point.value === null) lastMs = Number.NEGATIVE_INFINITY;
    if (point.value === null) continue;
    if (point.atMs - lastMs > usual * GAP_STEPS) found.push([]);
    found[found.length - 1].push(point);
    lastMs = point.atMs;
  }
  return found;
}

/** Of each group the one with the largest value: a spike must not vanish because it was short. */
function thinned(points: readonly TimePoint[]): readonly TimePoint[] {
  const sorted = [...points].sort((a, b) => a.atMs - b.atMs);
  if (sorted.length <= MAX_DRAWN) return sorted;
  return Array.from({ length: MAX_DRAWN }, (_, at) => {
    const from = Math.floor((at * sorted.length) / MAX_DRAWN);
    const to = Math.floor(((at + 1) * sorted.length) / MAX_DRAWN);
    const group = sorted.slice(from, to);
    return group.reduce((most, one) =>
      (one.value ?? Number.NEGATIVE_INFINITY) > (most.value ?? Number.NEGATIVE_INFINITY)
        ? one
        : most,
    );
  });
}

function extent(values: readonly number[]): readonly [number, number] {
  return values.reduce<readonly [number, number]>(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
}

function titleOf({ caption, show }: TimeChart, series: readonly TimeSeries[]): string {
  const parts = series.map(({ text, points }) => {
    const values = points.flatMap(({ value }) => (value === null ? [] : [value]));
    if (values.length === 0) return `${text}: nothing measured`;
    const [low, high] = extent(values);
    return `${text}: ${values.length} points from ${show(low)} to ${show(high)}, last ${show(values[values.length - 1])}`;
  });
  return `${caption}. ${parts.join('; ')}.`;
}
