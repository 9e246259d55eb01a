import { chart, HIGH, legend, svg, WIDE } from './chart.ts';
import { figure, percent } from './figures.ts';
import { type Html, html } from './html.ts';
import type { Plot } from './report-data.ts';

type Histogram = Extract<Plot, { readonly kind: 'histogram' }>;

/** Slots of one bin's width: rows below, a gap, the bins, a gap, rows above. Ends are left out where they are empty. */
interface Slot {
  readonly label: string;
  readonly reference: number;
  readonly current: number;
}

/** Reference as a filled shape, current as a line over it: both are seen where they overlap. */
export function histogramChart(plot: Histogram, withTips: boolean): Html {
  const slots = slotsOf(plot);
  const top = Math.max(
    1e-9,
    ...slots.flatMap((slot) => (slot === null ? [] : [slot.reference, slot.current])),
  );
  const [first] = plot.bins;
  const last = plot.bins[plot.bins.length - 1];
  const frame = {
    title: summaryOf(plot),
    yTop: percent(top),
    yBottom: '0',
    x: axisOf(plot, first.low, last.high),
  };
  return html`<figure>
    <figcaption>Distribution: share of rows in each bin</figcaption>
    ${chart(frame, [shape('ref', slots, 'reference', top), shape('cur', slots, 'current', top), withTips ? tips(slots) : null])}
    ${legend([
      { className: 'ref', text: 'reference' },
      { className: 'cur', text: 'current' },
    ])}
    <p class="legend">${plot.bins.length} bins of equal width${outside(plot)}. ${plot.note ?? ''}</p>
  </figure>`;
}

export function miniHistogram(plot: Histogram): Html {
  const slots = slotsOf(plot);
  const top = Math.max(
    1e-9,
    ...slots.flatMap((slot) => (slot === null ? [] : [slot.reference, slot.current])),
  );
  return svg('mini', 'reference and current, overlaid', WIDE, HIGH, [
    shape('ref', slots, 'reference', top),
    shape('cur', slots, 'current', top),
  ]);
}

function slotsOf({ bins, below, above }: Histogram): readonly (Slot | null)[] {
  const end = (label: string, side: { reference: number; current: number }) =>
    side.reference + side.current === 0 ? null : { label, ...side };
  const [first] = bins;
  const last = bins[bins.length - 1];
  const left = end(`below ${figure(first.low)}`, below);
  const right = end(`${figure(last.high)} and above`, above);
  const inner = bins.map(({ low, high, reference, current }) => ({
    label: `${figure(low)} to ${figure(high)}`,
    reference,
    current,
  }));
  return [
    ...(left === null ? [] : [left, null]),
    ...inner,
    ...(right === null ? [] : [null, right]),
  ];
}

/** Steps; each run of slots is closed at the bottom, so that the gaps stay open. */
function shape(
  className: 'ref' | 'cur',
  slots: readonly (Slot | null)[],
  side: 'reference' | 'current',
  top: number,
): Html {
  let path = '';
  let [lastX, lastY, isOpen] = [0, HIGH, false];
  for (const [at, slot] of slots.entries()) {
    const x = Math.round((at * WIDE) / slots.length);
    const y = slot === null ? HIGH : HIGH - Math.round((slot[side] / top) * HIGH);
    // A level that goes on is one step however many bins it spans.
    if (slot === null && isOpen) path += `h${x - lastX}V${HIGH}`;
    else if (slot !== null && !isOpen) path += `M${x} ${HIGH}V${y}`;
    else if (slot !== null && y !== lastY) path += `h${x - lastX}v${y - lastY}`;
    else continue;
    [lastX, lastY, isOpen] = [x, y, slot !== null];
  }
  if (isOpen) path += `h${WIDE - lastX}`;
  return html`<path class="${className}" d="${path}V${HIGH}"/>`;
}

function tips(slots: readonly (Slot | null)[]): readonly Html[] {
  return slots.flatMap((slot, at) => {
    if (slot === null) return [];
    const x = Math.round((at * WIDE) / slots.length);
    const width = Math.round(((at + 1) * WIDE) / slots.length) - x;
    return [
      html`<rect class="hit" x="${x}" width="${width}" height="${HIGH}"><title>${slot.label}: reference ${percent(slot.reference)}, current ${percent(slot.current)}</title></rect>`,
    ];
  });
}

function axisOf({ below, above }: Histogram, low: number, high: number): readonly string[] {
  const inner = [figure(low), figure((low + high) / 2), figure(high)];
  const left = below.reference + below.current > 0 ? [`< ${figure(low)}`] : [];
  const right = above.reference + above.current > 0 ? [`≥ ${figure(high)}`] : [];
  return [...left, ...inner.slice(left.length, 3 - right.length), ...right];
}

function outside({ below, above }: Histogram): string {
  const sides = [
    below.reference + below.current > 0 ? (['the leftmost', 'below', below] as const) : null,
    above.reference + above.current > 0 ? (['the rightmost', 'above', above] as const) : null,
  ].filter((side) => side !== null);
  return sides
    .map(
      ([where, what, { reference, current }]) =>
        `; ${where} bar is all that lies ${what} (reference ${percent(reference)}, current ${percent(current)})`,
    )
    .join('');
}

function summaryOf({ bins, below, above }: Histogram): string {
  const peak = (side: 'reference' | 'current') =>
    bins.reduce((highest, bin) => (bin[side] > highest[side] ? bin : highest));
  const [reference, current] = [peak('reference'), peak('current')];
  const out = below.current + above.current;
  return (
    `Histogram. Reference peaks between ${figure(reference.low)} and ${figure(reference.high)} (${percent(reference.reference)} of rows), ` +
    `current between ${figure(current.low)} and ${figure(current.high)} (${percent(current.current)}); ${percent(out)} of current rows lie outside.`
  );
}
