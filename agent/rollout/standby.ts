import type { Digest } from '../../protocol/ids.ts';
import type { PlannedDeployment, ServingPlan } from '../engine/messages.ts';
import { tripKey } from '../engine/restraints.ts';
import type { Fallbacks } from './fallback.ts';

/**
 * A plan in which each guarded deployment keeps the version loaded that its guard would go back to, so that going back is
 * a switch. Pure.
 *
 * @param fallbacks what may be gone back to once this plan is served
 * @param refused versions that this host can't serve
 * @param tripped uses of versions that guards took back: `tripKey`
 */
export function withStandby(
  plan: ServingPlan,
  fallbacks: Fallbacks,
  refused: Pick<ReadonlySet<Digest>, 'has'>,
  tripped: ReadonlySet<string>,
): ServingPlan {
  const deployments = plan.deployments.map((deployment): PlannedDeployment => {
    const { name, guard, arms } = deployment;
    const stable = arms.find(({ arm }) => arm === 'stable');
    const fallback = fallbacks.get(name);
    if (guard === undefined || stable === undefined || fallback === undefined) return deployment;
    const { manifest, version } = fallback;
    const { decidedAt } = stable;
    const isOut = refused.has(manifest) || tripped.has(tripKey(name, { manifest, decidedAt }));
    if (manifest === stable.manifest || isOut) return deployment;
    const decided = decidedAt === undefined ? {} : { decidedAt };
    const standby = { arm: 'stable', version, manifest, share: 0, ...decided } as const;
    return { ...deployment, standby };
  });
  return { ...plan, deployments };
}
