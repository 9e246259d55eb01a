import type { ServedArm, ServingState } from '../serve/routing.ts';

/** What a pipeline calls and this agent does not serve, as `deployment` or `deployment@version`; none for a model. */
export function missingSteps(state: ServingState, { slot }: ServedArm): readonly string[] {
  if (slot.pipeline === null) return [];
  const missing = slot.pipeline.steps.flatMap(({ deployment, version }) => {
    const called = state.deployments.get(deployment);
    const arms = called === undefined || called.closed !== null ? [] : called.arms;
    if (version === undefined) return arms.length === 0 ? [deployment] : [];
    return arms.some((arm) => arm.version === version) ? [] : [`${deployment}@${version}`];
  });
  return [...new Set(missing)];
}
