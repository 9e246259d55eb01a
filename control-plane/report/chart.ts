import { type Html, html, type Part } from './html.ts';

/**
 * Pictures are drawn on a canvas of WIDE × HIGH that is stretched to the room there is; strokes keep their width, and
 * all text stands outside as HTML, so that it is as large on a telephone as on a desk.
 */
export const WIDE = 1000;
export const HIGH = 200;

export interface Frame {
  /** Read aloud in place of the picture. */
  readonly title: string;
  readonly yTop: string;
  readonly yBottom: string;
  /** Spread evenly from left to right. */
  readonly x: readonly string[];
}

export function chart({ title, yTop, yBottom, x }: Frame, shapes: Part): Html {
  return html`<div class="chart">
    <div class="y" aria-hidden="true"><span>${yTop}</span><span>${yBottom}</span></div>
    ${svg('big', title, WIDE, HIGH, shapes)}
    <div class="x" aria-hidden="true">${x.map((text) => html`<span>${text}</span>`)}</div>
  </div>`;
}

export function svg(
  className: string,
  title: string,
  width: number,
  height: number,
  shapes: Part,
): Html {
  return html`<svg class="${className}" viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" role="img">
    <title>${title}</title>${shapes}</svg>`;
}

/** Whole units: a thousandth of the width can't be seen. */
export function place(value: number, low: number, high: number, size: number): number {
  if (!(high > low)) return Math.round(size / 2);
  const share = Math.min(1, Math.max(0, (value - low) / (high - low)));
  return Math.round(share * size);
}

/** As `place`, from the bottom up. */
export function height(value: number, low: number, high: number, size = HIGH): number {
  return size - place(value, low, high, size);
}

/** A horizontal line at a value, or nothing where it would lie above the picture. */
export function level(value: number, low: number, high: number, className: string): Html | null {
  if (value < low || value > high) return null;
  const y = height(value, low, high);
  return html`<line class="${className}" x1="0" x2="${WIDE}" y1="${y}" y2="${y}"/>`;
}

export interface Key {
  readonly className: 'ref' | 'cur' | 'cur2' | 'refl' | 'limit' | 'band';
  readonly text: string;
}

export function legend(keys: readonly Key[]): Html {
  const sign = ({ className }: Key) =>
    className === 'ref' || className === 'band'
      ? html`<rect class="${className}" width="14" height="10"/>`
      : html`<path class="${className}" d="M0 5H14"/>`;
  return html`<p class="legend">${keys.map(
    (key) =>
      html`<span><svg class="key" viewBox="0 0 14 10" aria-hidden="true">${sign(key)}</svg>${key.text}</span> `,
  )}</p>`;
}
