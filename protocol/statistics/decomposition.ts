import { SketchError } from '../sketch/error.ts';
import { chiSquareLogSurvival } from './chi-square.ts';

/** What one site (a host, a browser, a region) sent of one feature, on the same cells before and now. */
export interface SiteCounts {
  readonly site: string;
  readonly before: Float64Array;
  readonly now: Float64Array;
}

export interface SitePart {
  readonly site: string;
  readonly rows: { readonly before: number; readonly now: number };
  /** Share of all rows. */
  readonly share: { readonly before: number; readonly now: number };
  /** ½ Σ |w_a0 (p_at − p_a0)|: by how much this site's own change moves the whole. */
  readonly within: number;
  /** ½ Σ |(w_at − w_a0)(p_a0 − p_0)|: by how much its growing or shrinking does. */
  readonly mix: number;
}

/** Sizes are total variation distances, ½ Σ |Δp|, 0 to 1. */
export interface Decomposition {
  readonly total: number;
  readonly within: number;
  readonly mix: number;
  readonly interaction: number;
  /** In the order given. */
  readonly sites: readonly SitePart[];
}

/**
 * Did what the sites send change, or which sites send? Exactly, over the cells of a feature and sites a,
 *
 *     p_t − p_0 = Σ w_a0 (p_at − p_a0)  +  Σ (w_at − w_a0) p_a0  +  Σ (w_at − w_a0)(p_at − p_a0)
 *                        within                    mix                     interaction
 *
 * (Kitagawa 1955; `research/monitoring.md` (ii) 5). A site that is new or gone has no change of its own: its missing side
 * is set to the other one, so it counts as mix. Null when either side has no rows at all.
 *
 * @throws SketchError `shape` when sites have different cells
 */
export function decompose(sites: readonly SiteCounts[]): Decomposition | null {
  const cells = sites[0]?.before.length ?? 0;
  for (const { site, before, now } of sites) {
    if (before.length === cells && now.length === cells) continue;
    throw new SketchError(
      'shape',
      `${site}: ${before.length} and ${now.length} cells, not ${cells}`,
    );
  }
  const all = sites.map(({ site, before, now }) => ({
    site,
    before: { counts: before, rows: total(before) },
    now: { counts: now, rows: total(now) },
  }));
  const rowsBefore = all.reduce((sum, { before }) => sum + before.rows, 0);
  const rowsNow = all.reduce((sum, { now }) => sum + now.rows, 0);
  if (rowsBefore === 0 || rowsNow === 0) return null;
  const whole = new Float64Array(cells);
  for (const { before } of all) add(whole, before.counts, 1 / rowsBefore);
  const sums = {
    within: new Float64Array(cells),
    mix: new Float64Array(cells),
    interaction: new Float64Array(cells),
  };
  const parts = all.map(({ site, before, now }): SitePart => {
    const share = { before: before.rows / rowsBefore, now: now.rows / rowsNow };
    const p0 = shares(before.rows > 0 ? before : now);
    const change = shares(now.rows > 0 ? now : before).map((p, k) => p - p0[k]);
    const grown = share.now - share.before;
    add(sums.within, change, share.before);
    add(sums.mix, p0, grown);
    add(sums.interaction, change, grown);
    return {
      site,
      rows: { before: before.rows, now: now.rows },
      share,
      within: size(change) * share.before,
      // Against the whole: a site like all others may grow without moving anything. Σ over sites is the same.
      mix: size(p0.map((p, k) => p - whole[k])) * Math.abs(grown),
    };
  });
  const moved = sums.within.map((value, k) => value + sums.mix[k] + sums.interaction[k]);
  return {
    total: size(moved),
    within: size(sums.within),
    mix: size(sums.mix),
    interaction: size(sums.interaction),
    sites: parts,
  };
}

/** One site's own shift (of a mean, a rate) and the variance of that. */
export interface SiteShift {
  readonly shift: number;
  readonly variance: number;
}

export interface Heterogeneity {
  /** The shift that all sites share, weighted by 1 / variance. */
  readonly common: number;
  readonly q: number;
  readonly df: number;
  /** Share of the spread of the shifts that chance does not explain, 0 to 1. */
  readonly iSquared: number;
  /** ln of the p-value of "all sites shifted alike". */
  readonly logP: number;
}

/**
 * Q = Σ w (d − d̄)² with w = 1 / variance, χ² with sites − 1 degrees of freedom when all shifted alike (Cochran 1954),
 * and I² = max(0, (Q − df) / Q) (Higgins and Thompson 2002). Near 0 the world changed, near 1 some sites did. Null for
 * fewer than two sites with a variance.
 */
export function heterogeneity(shifts: readonly SiteShift[]): Heterogeneity | null {
  const known = shifts.filter(({ variance }) => variance > 0 && variance < Infinity);
  if (known.length < 2) return null;
  // Weights relative to the heaviest: 1 / 1e-300 would overflow in the sums.
  const least = Math.min(...known.map(({ variance }) => variance));
  const weights = known.reduce((sum, { variance }) => sum + least / variance, 0);
  const common =
    known.reduce((sum, { shift, variance }) => sum + (shift * least) / variance, 0) / weights;
  const q = Math.min(
    Number.MAX_VALUE,
    known.reduce(
      (sum, { shift, variance }) => sum + ((shift - common) / Math.sqrt(variance)) ** 2,
      0,
    ),
  );
  const df = known.length - 1;
  const iSquared = q > df ? (q - df) / q : 0;
  return { common, q, df, iSquared, logP: chiSquareLogSurvival(q, df) };
}

interface Counted {
  readonly counts: Float64Array;
  readonly rows: number;
}

function shares({ counts, rows }: Counted): Float64Array {
  return rows === 0 ? counts : counts.map((count) => count / rows);
}

function total(counts: Float64Array): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function add(into: Float64Array, values: Float64Array, weight: number): void {
  for (let k = 0; k < into.length; k += 1) into[k] += weight * values[k];
}

function size(change: Float64Array): number {
  return change.reduce((sum, value) => sum + Math.abs(value), 0) / 2;
}
