import type { Digest } from '../../protocol/ids.ts';
import type { ServingPlan } from '../engine/messages.ts';
import type { EngineDeath } from '../engine/pool/engine-death.ts';
import type { Fallbacks } from './fallback.ts';

/** Once may be the kernel's out-of-memory killer or a cosmic ray, twice a coincidence. */
export const MAX_DEATHS = 3;
/** A version that takes an engine down less often than thrice in this time costs less than going back would. */
export const BLAME_WINDOW_MS = 600_000;

/**
 * The version an engine most likely died of, or null. What worker threads compute is known; among several the one
 * introduced last, because before it they ran together without a death. Otherwise what was last computed inline.
 */
export function suspectOf(
  death: Pick<EngineDeath, 'computing' | 'computedLast'>,
  plan: ServingPlan | null,
  introducedMs: ReadonlyMap<Digest, number>,
): Digest | null {
  const served = new Set(plan?.deployments.flatMap(({ arms }) => arms.map((a) => a.manifest)));
  const computing = death.computing.filter((manifest) => served.has(manifest));
  if (computing.length === 0) {
    return death.computedLast !== null && served.has(death.computedLast)
      ? death.computedLast
      : null;
  }
  const at = (manifest: Digest) => introducedMs.get(manifest) ?? 0;
  const [newest, second] = [...computing].sort((a, b) => at(b) - at(a));
  return second !== undefined && at(newest) === at(second) ? null : newest;
}

/** Deaths by version. The clock comes in with each death. */
export class BlameLedger {
  readonly #deaths = new Map<Digest, EngineDeath[]>();

  /** The evidence as text once there is enough of it; null before. */
  record(manifest: Digest, death: EngineDeath): string | null {
    const known = this.#deaths.get(manifest) ?? [];
    const recent = [...known.filter(({ atMs }) => death.atMs - atMs < BLAME_WINDOW_MS), death];
    this.#deaths.set(manifest, recent);
    if (recent.length < MAX_DEATHS) return null;
    const list = recent.map(
      ({ cause, pid, atMs }) => `${cause} of pid ${pid} at ${new Date(atMs).toISOString()}`,
    );
    return `${recent.length} engines died in ${BLAME_WINDOW_MS / 60_000} minutes while they computed it: ${list.join('; ')}`;
  }

  /** A new desired state offers everything anew. */
  clear(): void {
    this.#deaths.clear();
  }
}

/**
 * Whether refusing a version helps anybody: another arm or version takes its traffic, or other deployments are
 * spared its crashes. Alone on its host it goes on, because answering between deaths is better than never.
 */
export function worthRefusing(manifest: Digest, plan: ServingPlan, fallbacks: Fallbacks): boolean {
  if (plan.deployments.length > 1) return true;
  return plan.deployments.some(({ name, arms }) =>
    arms.some((arm) => {
      if (arm.manifest !== manifest) return false;
      if (arm.arm !== 'stable') return true;
      const fallback = fallbacks.get(name);
      return fallback !== undefined && fallback.manifest !== manifest;
    }),
  );
}
