import type { FeatureSketch } from '../../protocol/sketch/window.ts';
import {
  decompose as decomposeSites,
  heterogeneity,
  type SiteShift,
} from '../../protocol/statistics/decomposition.ts';
import { allCells } from '../../protocol/statistics/drift.ts';

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
 * Did what the hosts send change, or which hosts send (`protocol/statistics/decomposition.ts`)? Hosts are named loudest
 * first. Null when either side has no rows at all.
 */
export function decompose(shares: readonly HostShare[]): Decomposition | null {
  const parts = decomposeSites(
    shares.map(({ host, before, now }) => {
      return { site: host, before: allCells(before), now: allCells(now) };
    }),
  );
  if (parts === null) return null;
  const { sites, ...sizes } = parts;
  const hosts = sites
    .map(({ site, ...part }): HostPart => ({ host: site, ...part }))
    .sort((a, b) => Math.max(b.within, b.mix) - Math.max(a.within, a.mix));
  const found = heterogeneity(shares.flatMap(shiftOf));
  return {
    ...sizes,
    cause: causeOf(sizes.total, sizes),
    hosts: hosts.slice(0, MAX_HOSTS),
    heterogeneity: found === null ? null : { q: found.q, df: found.df, iSquared: found.iSquared },
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

/** A host's own shift of the mean; none for categories, or from a few rows. */
function shiftOf({ before, now }: HostShare): SiteShift[] {
  if (before.kind !== 'numeric' || now.kind !== 'numeric') return [];
  const [a, b] = [before.moments, now.moments];
  if (Math.min(a.count, b.count) < MIN_HOST_ROWS) return [];
  return [{ shift: b.mean - a.mean, variance: a.m2 / a.count ** 2 + b.m2 / b.count ** 2 }];
}
