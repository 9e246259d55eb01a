import type { ReportMessage } from '../../protocol/report.ts';

/** What a host's latest report says of its deployments, as far as hosts are counted by it. */
export interface Standing {
  /** The version that the stable arm of each deployment serves; none where it doesn't. */
  readonly stable: ReadonlyMap<string, number>;
  /** Deployments whose lease has run out. */
  readonly unleased: ReadonlySet<string>;
}

/** Of a host that has not reported. */
export const SAID_NOTHING: Standing = { stable: new Map(), unleased: new Set() };

/** A fleet says few different things at a time; over the years it says many. */
const MAX_KEPT = 1_000;

/** Standings of a fleet: one object for all hosts that say the same, so that ten thousand of them cost a few. */
export class Standings {
  readonly #kept = new Map<string, Standing>();

  of(deployments: ReportMessage['deployments']): Standing {
    const stable = deployments.flatMap(({ name, arms }): [string, number][] =>
      arms.flatMap((each): [string, number][] =>
        each.arm === 'stable' && each.state === 'serving' ? [[name, each.version]] : [],
      ),
    );
    const unleased = deployments.flatMap(({ name, lease = null }) =>
      lease === null || lease.state === 'held' ? [] : [name],
    );
    const key = JSON.stringify([stable, unleased]);
    const known = this.#kept.get(key);
    if (known !== undefined) return known;
    if (this.#kept.size === MAX_KEPT) this.#kept.clear();
    const standing = { stable: new Map(stable), unleased: new Set(unleased) };
    this.#kept.set(key, standing);
    return standing;
  }
}
