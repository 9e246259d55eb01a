import type { DesiredArm, DesiredDeployment, DesiredState } from '../../protocol/desired.ts';
import type { RefusalCode } from '../../protocol/error.ts';
import { isGuarded } from '../../protocol/guard.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { ReportedLease } from '../../protocol/lease.ts';
import type { ReportedArm, ReportedDeployment } from '../../protocol/report.ts';
import type { ReportedPlacement } from '../../protocol/serving.ts';
import { describeBreach, type Trip } from '../../protocol/trip.ts';
import type { PlannedArm, PlannedDeployment, ServingPlan } from '../engine/messages.ts';
import { tripKey } from '../engine/restraints.ts';

export interface RefusedVersion {
  readonly code: RefusalCode;
  readonly detail: string;
}

/** Whether a version may be had later: the network comes back, a disk is cleared. */
export function mayPass(code: RefusalCode): boolean {
  return code === 'artifact-unavailable' || code === 'disk-full';
}

/** What stands in the way of what is wanted, and what there is instead. */
interface Circumstances {
  readonly refused: ReadonlyMap<Digest, RefusedVersion>;
  /** What is served now. */
  readonly current: ServingPlan | null;
  readonly fallbacks: ReadonlyMap<string, PlannedArm>;
  readonly tripped: ReadonlySet<string>;
}

const NO_FALLBACKS: ReadonlyMap<string, PlannedArm> = new Map();
const NO_TRIPS: ReadonlySet<string> = new Set();

/**
 * What to serve, given what is wanted, what this host refuses, what its guards took back, and what it serves now. Pure.
 *
 * A refused candidate leaves its traffic to the stable arm, a refused pinned version is left out. A refused stable
 * version leaves the deployment as it is: what ran keeps running, or what `fallbacks` remembers of the time before
 * it. A deployment that has nothing to run is left out, and answers 404. What a guard took back is as if it were refused,
 * except that a stable version without any to go back to stays: the engines decide by the guard whether it answers.
 *
 * @param tripped uses of versions that guards took back: `tripKey`
 */
export function planServing(
  desired: DesiredState,
  refused: ReadonlyMap<Digest, RefusedVersion>,
  current: ServingPlan | null,
  fallbacks: ReadonlyMap<string, PlannedArm> = NO_FALLBACKS,
  tripped: ReadonlySet<string> = NO_TRIPS,
): ServingPlan {
  const circumstances = { refused, current, fallbacks, tripped };
  const deployments = desired.deployments.flatMap((wanted): PlannedDeployment[] => {
    const { name, windowMs, serving, monitoring, guard } = wanted;
    const arms = armsOf(wanted, circumstances);
    if (arms.length === 0) return [];
    const planned = { name, windowMs, serving, monitoring, arms };
    return [isGuarded(guard) ? { ...planned, guard } : planned];
  });
  return { agent: desired.agent, generation: desired.generation, deployments };
}

function armsOf(wanted: DesiredDeployment, circumstances: Circumstances): PlannedArm[] {
  const { refused, tripped } = circumstances;
  const { name } = wanted;
  const isTripped = (arm: { manifest: Digest; decidedAt?: number | undefined }) =>
    tripped.has(tripKey(name, arm));
  const usable = wanted.arms
    .filter((arm) => !refused.has(arm.manifest) && !isTripped(arm))
    .map(planned);
  const pinned = usable.filter((arm) => arm.arm === 'pinned');
  let shared = usable.filter((arm) => arm.arm !== 'pinned');
  const stable = wanted.arms.find((arm) => arm.arm === 'stable');
  const isOut = stable !== undefined && (refused.has(stable.manifest) || isTripped(stable));
  if (shared.length === 0 || isOut) {
    shared = standIns(wanted, circumstances);
    // Nothing good is there: what answers stays, and the guard says whether it may.
    if (shared.length === 0 && stable !== undefined && isTripped(stable)) {
      shared = standIns(wanted, { ...circumstances, tripped: NO_TRIPS }).slice(0, 1);
      const may = !refused.has(stable.manifest);
      if (shared.length === 0 && may) shared = [{ ...planned(stable), share: 1 }];
    }
  }
  if (shared.length === 0) return [];
  const beside = pinned.filter((arm) => !shared.some((one) => one.manifest === arm.manifest));
  return [...wholeShare(shared), ...beside];
}

/** What may take the place of a stable version that may not serve. */
function standIns(wanted: DesiredDeployment, circumstances: Circumstances): PlannedArm[] {
  const { refused, current, fallbacks, tripped } = circumstances;
  const { name } = wanted;
  const decidedAt = wanted.arms.find((arm) => arm.arm === 'stable')?.decidedAt;
  const asStandIn = (arm: PlannedArm) => decidedBy(arm, decidedAt);
  const mayServe = (arm: PlannedArm) =>
    !refused.has(arm.manifest) && !tripped.has(tripKey(name, asStandIn(arm)));
  // Only a stable arm may stay: a candidate without its rollout would serve for ever.
  const previous = current?.deployments.find((deployment) => deployment.name === name);
  const ran = (previous?.arms ?? []).filter((arm) => arm.arm === 'stable' && mayServe(arm));
  if (ran.length > 0) return ran.map(asStandIn);
  const fallback = fallbacks.get(name);
  // What ran is itself what is refused: it has killed its engines.
  return fallback !== undefined && mayServe(fallback) ? [asStandIn(fallback)] : [];
}

function planned({ arm, version, manifest, share, decidedAt }: DesiredArm): PlannedArm {
  return decidedBy({ arm, version, manifest, share }, decidedAt);
}

/** A stand-in serves by the decision for what it stands in for. */
function decidedBy(
  { arm, version, manifest, share }: PlannedArm,
  decidedAt: number | undefined,
): PlannedArm {
  const planned = { arm, version, manifest, share };
  return decidedAt === undefined ? planned : { ...planned, decidedAt };
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

/** What a report also says, where it is known. */
export interface Reported {
  /** The trip that is in force for a use of a version. */
  tripOf?(key: string): Trip | undefined;
  leaseOf?(deployment: string): ReportedLease | undefined;
}

/** What a report says of each wanted arm, and of what is served in its place. */
export function reportDeployments(
  desired: DesiredState,
  refused: ReadonlyMap<Digest, RefusedVersion>,
  serving: ServingPlan | null,
  placements: ReadonlyMap<Digest, ReportedPlacement> = new Map(),
  { tripOf, leaseOf }: Reported = {},
): ReportedDeployment[] {
  const live = ({ arm, version, manifest, share }: PlannedArm): ReportedArm => ({
    ...{ arm, version, manifest, share },
    state: 'serving',
    placement: placements.get(manifest),
  });
  return desired.deployments.map((wanted) => {
    const { name } = wanted;
    const served = serving?.deployments.find((d) => d.name === name)?.arms ?? [];
    const arms: ReportedDeployment['arms'] = wanted.arms.map((want) => {
      const { arm, version, manifest } = want;
      const refusal = refused.get(manifest);
      // A NACK takes a rollout back for good, and a download that broke off says nothing against the version.
      if (refusal !== undefined && refusal.code !== 'artifact-unavailable') {
        return { arm, version, manifest, state: 'refused', ...refusal };
      }
      const trip = tripOf?.(tripKey(name, want));
      if (trip !== undefined && trip.outcome.kind !== 'kept') {
        const detail = describeBreach(trip.breach);
        return { arm, version, manifest, state: 'refused', code: 'guard-tripped', detail };
      }
      const found = served.find((each) => each.manifest === manifest && each.arm === arm);
      return found === undefined ? { arm, version, manifest, state: 'fetching' } : live(found);
    });
    for (const other of served) {
      if (wanted.arms.some((arm) => arm.manifest === other.manifest && arm.arm === other.arm))
        continue;
      arms.push(live(other));
    }
    const lease = leaseOf?.(name);
    return lease === undefined ? { name, arms } : { name, arms, lease };
  });
}
