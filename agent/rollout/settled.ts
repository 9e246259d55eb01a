import type { DesiredArm, DesiredDeployment, DesiredState } from '../../protocol/desired.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { PlannedDeployment, ServingPlan } from '../engine/messages.ts';
import { tripKey } from '../engine/restraints.ts';
import { mayPass, type RefusedVersion } from './serving-plan.ts';

/**
 * Deployments that serve nothing but what the document says, so that its lease is theirs. A candidate or a pinned version
 * that has yet to come takes nothing from the stable one beside it. What stands in for a stable version that has yet to
 * come is on its older lease: it may be just what was taken back. What stands in for one that this host refuses, or that
 * its guard took back, is as near to the document as this host will ever get. Pure.
 *
 * @param planned what engines serve, with what clients have unloaded
 * @param tripped uses of versions that guards took back: `tripKey`
 */
export function settledIn(
  desired: DesiredState | null,
  planned: ServingPlan | null,
  refused: ReadonlyMap<Digest, RefusedVersion>,
  tripped: ReadonlySet<string>,
): readonly string[] {
  const isOut = (deployment: string, arm: DesiredArm) => {
    const refusal = refused.get(arm.manifest);
    const isRefused = refusal !== undefined && !mayPass(refusal.code);
    return isRefused || tripped.has(tripKey(deployment, arm));
  };
  const settled = (desired?.deployments ?? []).filter((wanted) => {
    const served = planned?.deployments.find(({ name }) => name === wanted.name);
    return served !== undefined && isSettled(wanted, served, (arm) => isOut(wanted.name, arm));
  });
  return settled.map(({ name }) => name);
}

function isSettled(
  wanted: DesiredDeployment,
  served: PlannedDeployment,
  isOut: (arm: DesiredArm) => boolean,
): boolean {
  const stable = wanted.arms.find(({ arm }) => arm === 'stable');
  const standsIn = stable !== undefined && isOut(stable);
  const isWanted = ({ arm, manifest, decidedAt }: PlannedDeployment['arms'][number]) =>
    wanted.arms.some(
      (want) => want.arm === arm && want.manifest === manifest && want.decidedAt === decidedAt,
    );
  return served.arms.every(
    // A stand-in serves by the decision for what it stands in for: one of an older decision is not yet one.
    (each) =>
      isWanted(each) || (standsIn && each.arm === 'stable' && each.decidedAt === stable.decidedAt),
  );
}
