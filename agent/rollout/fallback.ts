import type { PlannedArm, ServingPlan } from '../engine/messages.ts';

/** Stable arms to go back to, by deployment. */
export type Fallbacks = ReadonlyMap<string, PlannedArm>;

/** Whether a stable arm must not be gone back to: the version, or how it did under the decision by which it served. */
export type IsBad = (deployment: string, arm: PlannedArm) => boolean;

/** A version that has served this long has shown that it does not take its engine down at once, as a bad one does. */
export const STEADY_MS = 30_000;

/**
 * What to remember when `after` takes the place of `before`: the stable arm that a deployment leaves, if it has served
 * for `STEADY_MS`, or if nothing better is known. `sinceMs`: when the stable arm of a deployment began. Pure.
 */
export function rememberFallbacks(
  known: Fallbacks,
  before: ServingPlan | null,
  after: ServingPlan,
  context: {
    readonly sinceMs: ReadonlyMap<string, number>;
    readonly nowMs: number;
    readonly isBad: IsBad;
  },
): Fallbacks {
  const next = new Map<string, PlannedArm>();
  for (const { name, arms } of after.deployments) {
    const remembered = known.get(name);
    const left = stableOf(before, name);
    const comes = arms.find(({ arm }) => arm === 'stable');
    const served = context.nowMs - (context.sinceMs.get(name) ?? context.nowMs);
    const replaced = left !== undefined && left.manifest !== comes?.manifest;
    const good = left !== undefined && !context.isBad(name, left);
    const keep = replaced && good && (served >= STEADY_MS || remembered === undefined);
    if (keep) next.set(name, { ...left, share: 1 });
    else if (remembered !== undefined) next.set(name, remembered);
  }
  return next;
}

/** When the stable arm of each deployment began to serve. */
export function stableSince(
  sinceMs: ReadonlyMap<string, number>,
  before: ServingPlan | null,
  after: ServingPlan,
  nowMs: number,
): ReadonlyMap<string, number> {
  return new Map(
    after.deployments.map(({ name }) => {
      const same = stableOf(before, name)?.manifest === stableOf(after, name)?.manifest;
      return [name, same ? (sinceMs.get(name) ?? nowMs) : nowMs];
    }),
  );
}

function stableOf(plan: ServingPlan | null, name: string): PlannedArm | undefined {
  const deployment = plan?.deployments.find((each) => each.name === name);
  return deployment?.arms.find(({ arm }) => arm === 'stable');
}
