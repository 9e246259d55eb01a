import type { FeatureSketch } from '../../protocol/sketch/window.ts';

/** What one host sent of one feature, before and now. */
export interface HostShare {
  readonly host: string;
  readonly before: FeatureSketch;
  readonly now: FeatureSketch;
}

export interface HostPart {
  readonly host: string;
  readonly rows: { readonly before: number; readonly now: number };
  /** Share of all rows. */
  readonly share: { readonly before: number; readonly now: number };
  /** ½ Σ |w_a0 (p_at − p_a0)|: what this host's own change moves the fleet's distribution by. */
  readonly within: number;
  /** ½ Σ |(w_at − w_a0) (p_a0 − p_0)|: what its growing or shrinking share moves it by. */
  readonly mix: number;
}

/** Sizes are total variation distances (½ Σ |Δp|), 0 to 1. */
export interface Decomposition {
  readonly total: number;
  readonly within: number;
  readonly mix: number;
  readonly interaction: number;
  /** `none`: the whole moved less than CAUSE_FLOOR. */
  readonly cause: 'within' | 'mix' | 'both' | 'none';
  /** Loudest first, at most MAX_HOSTS. */
  readonly hosts: readonly HostPart[];
  /** Cochran's heterogeneity of the hosts' own mean shifts; numeric features of two hosts or more. */
  readonly heterogeneity: {
    readonly q: number;
    readonly df: number;
    readonly iSquared: number;
  } | null;
}

const MAX_HOSTS = 20;
/** Total variation below which there is nothing to explain. */
const CAUSE_FLOOR = 0.02;
/** One part must be this share of both to be named alone. */
const DOMINANT = 0.75;
/** Rows on both sides that a host's own mean shift needs. */
const MIN_HOST_ROWS = 30;

/**
 * Did what the hosts send change, or which hosts send? Exactly, over the cells of a feature and hosts a,
 *
 *     p_t − p_0 = Σ w_a0 (p_at − p_a0)  +  Σ (w_at − w_a0) p_a0  +  Σ (w_at − w_a0)(p_at − p_a0)
 *                        within                    mix                     interaction
 *
 * (Kitagawa 1955; `research/monitoring.md` (ii) 5). A host that is new or gone has no change of its own: its missing
 * side is set to the other one, so it counts as mix. Null when either side has no rows at all.
 */
export function decompose(shares: readonly HostShare[]): Decomposition | null {
  const hosts = shares.map(({ host, before, now }) => ({
    host,
    before: cells(before),
    now: cells(now),
  }));
  const beforeRows = hosts.reduce((sum, one) => sum + one.before.rows, 0);
  const nowRows = hosts.reduce((sum, one) => sum + one.now.rows, 0);
  if (beforeRows === 0 || nowRows === 0) return null;
  const width = hosts[0].before.counts.length;
  const within = new Float64Array(width);
  const mix = new Float64Array(width);
  const interaction = new Float64Array(width);
  const fleet = new Float64Array(width);
  for (const { before } of hosts) {
    for (let k = 0; k < width; k += 1) fleet[k] += before.counts[k] / beforeRows;
  }
  const parts = hosts.map(({ host, before, now }): HostPart => {
    const share = { before: before.rows / beforeRows, now: now.rows / nowRows };
    const p0 = before.rows === 0 ? now : before;
    const pt = now.rows === 0 ? p0 : now;
    let own = 0;
    let moved = 0;
    for (let k = 0; k < width; k += 1) {
      const p = p0.rows === 0 ? 0 : p0.counts[k] / p0.rows;
      const change = pt.rows === 0 ? 0 : pt.counts[k] / pt.rows - p;
      const grown = share.now - share.before;
      within[k] += share.before * change;
      mix[k] += grown * p;
      interaction[k] += grown * change;
      own += Math.abs(share.before * change) / 2;
      // Against the fleet: a host like all others may grow without moving anything. The sum is the same, Σ(w_at − w_a0) = 0.
      moved += Math.abs(grown * (p - fleet[k])) / 2;
    }
    return { host, rows: { before: before.rows, now: now.rows }, share, within: own, mix: moved };
  });
  const total = size(within.map((value, k) => value + mix[k] + interaction[k]));
  const sizes = { within: size(within), mix: size(mix), interaction: size(interaction) };
  const loudest = parts.sort((a, b) => Math.max(b.within, b.mix) - Math.max(a.within, a.mix));
  return {
    total,
    ...sizes,
    cause: causeOf(total, sizes),
    hosts: loudest.slice(0, MAX_HOSTS),
    heterogeneity: heterogeneityOf(shares),
  };
}

function causeOf(
  total: number,
  { within, mix }: { readonly within: number; readonly mix: number },
): Decomposition['cause'] {
  if (total < CAUSE_FLOOR) return 'none';
  const share = within / (within + mix);
  return share >= DOMINANT ? 'within' : share <= 1 - DOMINANT ? 'mix' : 'both';
}

/**
 * Q = Σ w (d − d̄)² over the hosts' mean shifts d with weights 1 / var(d), I² = max(0, (Q − df) / Q) (Cochran 1954;
 * Higgins and Thompson 2002). Near 0: all hosts moved alike, the world changed; near 1: some hosts did.
 */
function heterogeneityOf(shares: readonly HostShare[]): Decomposition['heterogeneity'] {
  const shifts: { readonly d: number; readonly weight: number }[] = [];
  for (const { before, now } of shares) {
    if (before.kind !== 'numeric' || now.kind !== 'numeric') continue;
    const [a, b] = [before.moments, now.moments];
    if (Math.min(a.count, b.count) < MIN_HOST_ROWS) continue;
    const varianceOfShift = a.m2 / a.count ** 2 + b.m2 / b.count ** 2;
    if (varianceOfShift > 0) shifts.push({ d: b.mean - a.mean, weight: 1 / varianceOfShift });
  }
  if (shifts.length < 2) return null;
  const weights = shifts.reduce((sum, { weight }) => sum + weight, 0);
  const mean = shifts.reduce((sum, { d, weight }) => sum + d * weight, 0) / weights;
  const q = shifts.reduce((sum, { d, weight }) => sum + weight * (d - mean) ** 2, 0);
  const df = shifts.length - 1;
  return { q, df, iSquared: q === 0 ? 0 : Math.max(0, (q - df) / q) };
}

interface Cells {
  readonly counts: Float64Array;
  readonly rows: number;
}

function cells(sketch: FeatureSketch): Cells {
  const unseen = sketch.kind === 'numeric' ? sketch.nonFinite : sketch.unseen;
  const counts = Float64Array.of(...sketch.counts, unseen, sketch.missing);
  return { counts, rows: counts.reduce((sum, count) => sum + count, 0) };
}

function size(change: Float64Array): number {
  return change.reduce((sum, value) => sum + Math.abs(value), 0) / 2;
}
