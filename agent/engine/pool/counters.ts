import type { ServingPlan } from '../messages.ts';
import {
  type ArmSnapshot,
  armKey,
  type EngineSnapshot,
  type HostSnapshot,
  mergeArms,
  withoutPending,
} from '../snapshot.ts';

/**
 * Counters of a host over engines that come and go. A sum shown once is never undercut: a dead engine's last known
 * counters stay, and a silent one's stand in for it.
 */
export class HostCounters {
  #ended: readonly ArmSnapshot[] = [];
  #deaths = 0;

  /** An engine has ended; `last` is the last that it said. */
  ended(last: EngineSnapshot | null, died: boolean): void {
    if (died) this.#deaths += 1;
    if (last !== null) this.#ended = mergeArms([this.#ended, withoutPending(last.arms)]);
  }

  get deaths(): number {
    return this.#deaths;
  }

  /** Arms that left the plan are gone from living engines; so that they don't come back as half a sum, from here too. */
  keepOnly(plan: ServingPlan): void {
    const planned = plan.deployments.flatMap(({ name, arms }) =>
      arms.map(({ arm, manifest }) => armKey({ deployment: name, arm, manifest })),
    );
    const keys = new Set(planned);
    this.#ended = this.#ended.filter((arm) => keys.has(armKey(arm)));
  }

  sum(
    living: readonly EngineSnapshot[],
    engines: Omit<HostSnapshot['engines'], 'deaths'>,
  ): HostSnapshot {
    return {
      // Living ones first: a dead engine may have known an arm under an older version number.
      arms: mergeArms([...living.map((each) => each.arms), this.#ended]),
      processes: living.map((each) => each.process),
      engines: { ...engines, deaths: this.#deaths },
    };
  }
}
