import { svg } from './chart.ts';
import { percent, points } from './figures.ts';
import { type Html, html, named } from './html.ts';
import type { Plot, PlotBar } from './report-data.ts';

type Bars = Extract<Plot, { readonly kind: 'bars' }>;

/** More are put together: what stands there is the share that is left, so nothing is dropped. */
const SHOWN_BARS = 20;
const SHOWN_BARS_LEAN = 12;

/** A table whose rows hold a picture: it can be read aloud, copied and searched. */
export function barChart({ bars }: Bars, lean: boolean): Html {
  const shown = shownBars(bars, lean ? SHOWN_BARS_LEAN : SHOWN_BARS);
  const top = Math.max(1e-9, ...shown.flatMap(({ reference, current }) => [reference, current]));
  return html`<figure>
    <figcaption>Distribution: share of rows with each value</figcaption>
    <div class="scroll" tabindex="0" role="region" aria-label="Share of rows with each value">
      <table>
        <thead><tr><th scope="col">value</th><th scope="col"><span class="dim">reference (upper), current (lower)</span></th>
        <th scope="col" class="n">reference</th><th scope="col" class="n">current</th><th scope="col" class="n">change</th></tr></thead>
        <tbody>${shown.map((bar) => rowOf(bar, top))}</tbody>
      </table>
    </div>
  </figure>`;
}

export function miniBars({ bars }: Bars): Html {
  const shown = shownBars(bars, SHOWN_BARS_LEAN);
  const top = Math.max(1e-9, ...shown.flatMap(({ reference, current }) => [reference, current]));
  const step = 100 / Math.max(1, shown.length);
  const shapes = shown.map(({ reference, current }, at) => {
    const [a, b] = [reference, current].map((share) => Math.round((share / top) * 100));
    const x = at * step + step * 0.1;
    return html`<path class="ref" d="M${r(x)} 100v${-a}h${r(step * 0.4)}V100z"/>
      <path class="curf" d="M${r(x + step * 0.4)} 100v${-b}h${r(step * 0.4)}V100z"/>`;
  });
  return svg('mini', 'reference and current, side by side', 100, 100, shapes);
}

const r = (value: number) => Number(value.toFixed(1));

function rowOf({ label, reference, current }: PlotBar, top: number): Html {
  const [a, b] = [reference, current].map((share) => Math.round((share / top) * 100));
  // The figures beside it say the same: nothing to read aloud.
  const picture = html`<svg class="row" viewBox="0 0 100 20" preserveAspectRatio="none" aria-hidden="true"><path class="ref" d="M0 1h${a}v8H0"/><path class="curf" d="M0 10h${b}v8H0"/></svg>`;
  return html`<tr><th scope="row">${named(label)}</th><td class="plot">${picture}</td>
    <td class="n">${percent(reference)}</td><td class="n">${percent(current)}</td>
    <td class="n">${points(current - reference)}</td></tr>`;
}

function shownBars(bars: readonly PlotBar[], most: number): readonly PlotBar[] {
  if (bars.length <= most) return bars;
  const weight = ({ reference, current }: PlotBar) => Math.max(reference, current);
  const sorted = [...bars].sort((a, b) => weight(b) - weight(a));
  const rest = sorted.slice(most - 1);
  const sum = (side: 'reference' | 'current') => rest.reduce((all, bar) => all + bar[side], 0);
  return [
    ...sorted.slice(0, most - 1),
    { label: `(${rest.length} more values)`, reference: sum('reference'), current: sum('current') },
  ];
}
