import { type Restraints, restrained, UNRESTRAINED } from './restraints.ts';
import type { ServedArm, ServedDeployment, ServingState } from './serve/routing.ts';

/**
 * What an engine answers with: what its plan says, less what may not serve. Either can change without the other, and a
 * request sees one state from start to end.
 */
export class RestrainedState {
  #planned: ReadonlyMap<string, ServedDeployment> = new Map();
  #restraints: Restraints = UNRESTRAINED;
  /** What guards took back in this engine: the host may not have heard of it yet. */
  readonly #tripped = new Set<string>();
  #state: ServingState = { generation: 0, deployments: new Map() };

  /** What requests are answered by. */
  get state(): ServingState {
    return this.#state;
  }

  /** As planned, whatever may not serve of it. */
  get planned(): ReadonlyMap<string, ServedDeployment> {
    return this.#planned;
  }

  /** Switches to another plan. */
  plan(generation: number, planned: ReadonlyMap<string, ServedDeployment>): void {
    this.#planned = planned;
    // What no plan names can't serve, and a newer decision for it is another use.
    const named = new Set([...planned.values()].flatMap(everyArmOf).map(({ key }) => key));
    for (const key of this.#tripped) if (!named.has(key)) this.#tripped.delete(key);
    this.#apply(generation);
  }

  /** From now on this may not serve; replaces what was said before. */
  restrain(restraints: Restraints): void {
    this.#restraints = restraints;
    this.#apply(this.#state.generation);
  }

  /** A guard of this engine has tripped: the next request is another version's. */
  trip(key: string): void {
    this.#tripped.add(key);
    this.#apply(this.#state.generation);
  }

  #apply(generation: number): void {
    const { tripped, closed } = this.#restraints;
    const told = new Set(tripped);
    const isTripped = (key: string) => told.has(key) || this.#tripped.has(key);
    const deployments = new Map(
      [...this.#planned].map(([name, planned]) => [
        name,
        restrained(planned, isTripped, closed[name] ?? null),
      ]),
    );
    this.#state = { generation, deployments };
  }
}

/** The standby included: it has answered once a guard has tripped, and before the next plan. */
export function everyArmOf({ arms, standby }: ServedDeployment): readonly ServedArm[] {
  return standby === null ? arms : [...arms, standby];
}
