import type { DesiredState } from '../../protocol/desired.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { PlannedDeployment, ServingPlan } from '../engine/messages.ts';

/** Versions that clients have unloaded: digests by deployment. */
export type Unloaded = ReadonlyMap<string, ReadonlySet<Digest>>;

/**
 * A plan without what clients unloaded. A candidate's share goes to the stable arm; without the stable arm nothing
 * has a share, and only requests that name a version are answered. Pure.
 */
export function withoutUnloaded(plan: ServingPlan, unloaded: Unloaded): ServingPlan {
  const deployments = plan.deployments.map((deployment): PlannedDeployment => {
    const out = unloaded.get(deployment.name);
    const gone = deployment.arms.filter(({ manifest }) => out?.has(manifest));
    if (gone.length === 0) return deployment;
    const left = deployment.arms.filter((arm) => !gone.includes(arm));
    const share = gone.reduce((sum, arm) => sum + arm.share, 0);
    const stableGone = gone.some(({ arm }) => arm === 'stable');
    const arms = left.map((arm) => {
      if (stableGone) return { ...arm, share: 0 };
      return arm.arm === 'stable' ? { ...arm, share: arm.share + share } : arm;
    });
    const listed = gone.map(({ arm, version, manifest }) => ({ arm, version, manifest }));
    return { ...deployment, arms, unloaded: listed };
  });
  return { ...plan, deployments };
}

/** What stays unloaded under a new desired state: only in deployments that it leaves as they were. */
export function keepUnloaded(
  unloaded: Unloaded,
  before: DesiredState | null,
  after: DesiredState,
): Unloaded {
  const shown = (state: DesiredState | null, name: string) =>
    JSON.stringify(state?.deployments.find((deployment) => deployment.name === name));
  return new Map([...unloaded].filter(([name]) => shown(before, name) === shown(after, name)));
}

/** The versions that a load or unload means, or which part of it the desired state does not name. */
export function versionsMeant(
  desired: DesiredState | null,
  deployment: string,
  version: number | null,
): readonly Digest[] | 'unknown_model' | 'unknown_version' {
  const named = desired?.deployments.find(({ name }) => name === deployment);
  if (named === undefined) return 'unknown_model';
  const arms = named.arms.filter((arm) => version === null || arm.version === version);
  return arms.length === 0 ? 'unknown_version' : arms.map(({ manifest }) => manifest);
}
