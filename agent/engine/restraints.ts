import type { ServedArm, ServedDeployment } from './serve/routing.ts';

/** Why nobody answers for a deployment; an error code of the inference protocol. */
export interface Closing {
  readonly code: 'guard_tripped' | 'lease_lapsed';
  readonly message: string;
}

/** What this host does not let serve, whatever its plan says. */
export interface Restraints {
  /** Uses of versions that a guard took back: `tripKey`. */
  readonly tripped: readonly string[];
  /** By deployment. */
  readonly closed: Readonly<Record<string, Closing>>;
}

export const UNRESTRAINED: Restraints = { tripped: [], closed: {} };

/** One use of a version: a newer decision for it is another one. */
export function tripKey(
  deployment: string,
  { manifest, decidedAt }: { readonly manifest: string; readonly decidedAt?: number | undefined },
): string {
  return `${deployment}\n${manifest}\n${decidedAt ?? 0}`;
}

/**
 * A deployment without what may not serve. The share of a candidate goes to the stable arm; the standby takes the place of
 * a stable one, with all of the traffic. Where there is none, the guard's policy says whether anybody answers. Pure.
 */
export function restrained(
  planned: ServedDeployment,
  isTripped: (key: string) => boolean,
  closed: Closing | null,
): ServedDeployment {
  const out = planned.arms.filter(({ key }) => isTripped(key));
  const closing = closed ?? planned.closed;
  if (out.length === 0)
    return closing === planned.closed ? planned : { ...planned, closed: closing };
  const stable = out.find(({ arm }) => arm === 'stable');
  const { standby } = planned;
  const arms =
    stable !== undefined && standby !== null
      ? insteadOf(planned.arms, standby, out)
      : withoutSome(planned.arms, (arm) => arm !== stable && out.includes(arm));
  const hasGood = stable === undefined || (standby !== null && !isTripped(standby.key));
  if (hasGood || planned.withoutLastGood === 'serve') return { ...planned, arms, closed: closing };
  const message = `the guard of "${planned.name}" took version ${stable.version} back, and this host has no version to go back to`;
  return { ...planned, arms, closed: closing ?? { code: 'guard_tripped', message } };
}

/** Taken back itself, it stays what answers if anything does: two bad versions don't take turns. */
function insteadOf(
  arms: readonly ServedArm[],
  standby: ServedArm,
  out: readonly ServedArm[],
): readonly ServedArm[] {
  const beside = arms.filter((arm) => arm.arm === 'pinned' && !out.includes(arm));
  return [{ ...standby, share: 1 }, ...beside];
}

function withoutSome(
  arms: readonly ServedArm[],
  isGone: (arm: ServedArm) => boolean,
): readonly ServedArm[] {
  const share = arms.filter(isGone).reduce((sum, arm) => sum + arm.share, 0);
  return arms
    .filter((arm) => !isGone(arm))
    .map((arm) => (arm.arm === 'stable' ? { ...arm, share: arm.share + share } : arm));
}
