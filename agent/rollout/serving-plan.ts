import type { DesiredArm, DesiredState } from '../../protocol/desired.ts';
import type { RefusalCode } from '../../protocol/error.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { ReportedArm, ReportedDeployment } from '../../protocol/report.ts';
import type { ReportedPlacement } from '../../protocol/serving.ts';
import type { PlannedArm, PlannedDeployment, ServingPlan } from '../engine/messages.ts';

export interface RefusedVersion {
  readonly code: RefusalCode;
  readonly detail: string;
}

/** Whether a version may be had later: the network comes back, a disk is cleared. */
export function mayPass(code: RefusalCode): boolean {
  return code === 'artifact-unavailable' || code === 'disk-full';
}

/**
 * What to serve, given what is wanted, what this host refuses and what it serves now. Pure.
 *
 * A refused candidate leaves its traffic to the stable arm, a refused pinned version is left out. A refused stable
 * version leaves the deployment as it is: what ran keeps running, or what `fallbacks` remembers of the time before
 * it. A deployment that has nothing to run is left out, and answers 404.
 */
export function planServing(
  desired: DesiredState,
  refused: ReadonlyMap<Digest, RefusedVersion>,
  current: ServingPlan | null,
  fallbacks: ReadonlyMap<string, PlannedArm> = new Map(),
): ServingPlan {
  const deployments = desired.deployments.flatMap((wanted): PlannedDeployment[] => {
    const { name, windowMs, serving, monitoring } = wanted;
    const usable = wanted.arms.filter((arm) => !refused.has(arm.manifest)).map(planned);
    const pinned = usable.filter((arm) => arm.arm === 'pinned');
    let shared = usable.filter((arm) => arm.arm !== 'pinned');
    const stable = wanted.arms.find((arm) => arm.arm === 'stable');
    if (shared.length === 0 || (stable !== undefined && refused.has(stable.manifest))) {
      // Only a stable arm may stay: a candidate without its rollout would serve for ever.
      const previous = current?.deployments.find((deployment) => deployment.name === name);
      shared = (previous?.arms ?? []).filter(
        (arm) => arm.arm === 'stable' && !refused.has(arm.manifest),
      );
      const fallback = fallbacks.get(name);
      // What ran is itself what is refused: it has killed its engines.
      if (shared.length === 0 && fallback !== undefined && !refused.has(fallback.manifest)) {
        shared = [fallback];
      }
    }
    if (shared.length === 0) return [];
    const beside = pinned.filter((arm) => !shared.some((one) => one.manifest === arm.manifest));
    return [{ name, windowMs, serving, monitoring, arms: [...wholeShare(shared), ...beside] }];
  });
  return { agent: desired.agent, generation: desired.generation, deployments };
}

function planned({ arm, version, manifest, share }: DesiredArm): PlannedArm {
  return { arm, version, manifest, share };
}

/** Shares that add up to 1 again after an arm fell out: the first arm takes what is missing. */
function wholeShare(arms: readonly PlannedArm[]): PlannedArm[] {
  const sum = arms.reduce((total, arm) => total + arm.share, 0);
  return arms.map((arm, at) => (at === 0 ? { ...arm, share: arm.share + 1 - sum } : arm));
}

/** Every version a desired state names, once. */
export function versionsOf(desired: DesiredState): Digest[] {
  return [...new Set(desired.deployments.flatMap((d) => d.arms.map((arm) => arm.manifest)))];
}

/** What a report says of each wanted arm, and of what is served in its place. */
export function reportDeployments(
  desired: DesiredState,
  refused: ReadonlyMap<Digest, RefusedVersion>,
  serving: ServingPlan | null,
  placements: ReadonlyMap<Digest, ReportedPlacement> = new Map(),
): ReportedDeployment[] {
  const live = (arm: PlannedArm): ReportedArm => ({
    ...arm,
    state: 'serving',
    placement: placements.get(arm.manifest),
  });
  return desired.deployments.map((wanted) => {
    const served = serving?.deployments.find((d) => d.name === wanted.name)?.arms ?? [];
    const arms: ReportedDeployment['arms'] = wanted.arms.map(({ arm, version, manifest }) => {
      const refusal = refused.get(manifest);
      // A NACK takes a rollout back for good, and a download that broke off says nothing against the version.
      if (refusal !== undefined && refusal.code !== 'artifact-unavailable') {
        return { arm, version, manifest, state: 'refused', ...refusal };
      }
      const found = served.find((each) => each.manifest === manifest && each.arm === arm);
      return found === undefined ? { arm, version, manifest, state: 'fetching' } : live(found);
    });
    for (const other of served) {
      if (wanted.arms.some((arm) => arm.manifest === other.manifest && arm.arm === other.arm))
        continue;
      arms.push(live(other));
    }
    return { name: wanted.name, arms };
  });
}
