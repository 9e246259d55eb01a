import type { Interval } from '../../protocol/statistics/wilson.ts';
import { place, svg } from './chart.ts';
import { type Html, html } from './html.ts';

const LONG = 1000;
const TALL = 20;

/** A value with its interval on a line from `low` to `high`, with thin lines at `marks`. */
export function intervalChart(
  value: number,
  interval: Interval,
  title: string,
  { low, high, marks = [] }: Interval & { readonly marks?: readonly number[] },
): Html {
  const x = (at: number) => place(at, low, high, LONG);
  return svg('row', title, LONG, TALL, [
    html`<line class="grid" x1="0" x2="${LONG}" y1="10" y2="10"/>`,
    marks.map((at) => html`<line class="limit" x1="${x(at)}" x2="${x(at)}" y1="0" y2="${TALL}"/>`),
    html`<path class="whisker" d="M${x(interval.low)} 4V16M${x(interval.low)} 10H${x(interval.high)}M${x(interval.high)} 4V16"/>
      <path class="dot" d="M${x(value)} 10h0"/>`,
  ]);
}
