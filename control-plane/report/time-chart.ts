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
const MAX_DRAWN_LEAN = 120;
const MAX_DRAWN_SMALL = 50;
/** A step of so many usual steps is a gap: nothing was measured there, and no line says otherwise. */
const GAP_STEPS = 1.9;

export function timeChart(spec: TimeChart, lean = false): Html | null {
  const series = spec.series.map((one) => ({
    ...one,
    points: thinned(one.points, lean ? MAX_DRAWN_LEAN : MAX_DRAWN),
  }));
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
  const few = thinned(points, MAX_DRAWN_SMALL);
  const values = few.flatMap(({ value }) => (value === null ? [] : [value]));
  if (values.length === 0) return null;
  const [from, to] = extent(few.map(({ atMs }) => atMs));
  const scale = { from, to, low: 0, high: Math.max(atLeast, ...values) };
  return svg('mini', title, WIDE, 200, line({ className: 'cur', text: '', points: few }, scale));
}

interface Scale {
  readonly from: number;
  readonly to: number;
  readonly low: number;
  readonly high: number;
}

function line({ className, points }: TimeSeries, scale: Scale): Html {
  const path = runs(points)
    .map((run) => drawn(run.map((point) => at(point.atMs, point.value ?? 0, scale))))
    .join('');
  return html`<path class="${className}" d="${path}"/>`;
}

type Place = readonly [x: number, y: number];

/** From each place to the next by what lies between: half the length of the places themselves. */
function drawn(places: readonly Place[]): string {
  const [[x, y]] = places;
  // A point alone is a line of no length, which round ends make a dot.
  if (places.length === 1) return `M${x} ${y}h0`;
  const steps = places
    .slice(1)
    .flatMap(([toX, toY], k) => [toX - places[k][0], toY - places[k][1]]);
  return `M${x} ${y}l${steps.join(' ').replaceAll(' -', '-')}`;
}

function band(points: readonly TimePoint[], scale: Scale): Html | null {
  const shapes = runs(points).map((run) => {
    const edge = (side: 'low' | 'high') =>
      run.map((point) => at(point.atMs, point[side] ?? point.value ?? 0, scale));
    return `${drawn([...edge('high'), ...edge('low').reverse()])}z`;
  });
  if (points.every(({ low }) => low === undefined)) return null;
  return html`<path class="band" d="${shapes.join('')}"/>`;
}

function at(atMs: number, value: number, { from, to, low, high }: Scale): Place {
  return [place(atMs, from, to, WIDE), height(value, low, high)];
}

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
function thinned(points: readonly TimePoint[], most: number): readonly TimePoint[] {
  const sorted = [...points].sort((a, b) => a.atMs - b.atMs);
  if (sorted.length <= most) return sorted;
  return Array.from({ length: most }, (_, k) => {
    const from = Math.floor((k * sorted.length) / most);
    const to = Math.floor(((k + 1) * sorted.length) / most);
    const group = sorted.slice(from, to);
    return group.reduce((loudest, one) =>
      (one.value ?? Number.NEGATIVE_INFINITY) > (loudest.value ?? Number.NEGATIVE_INFINITY)
        ? one
        : loudest,
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
