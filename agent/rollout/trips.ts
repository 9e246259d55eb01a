import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import type { DesiredState } from '../../protocol/desired.ts';
import { timestampSchema } from '../../protocol/ids.ts';
import { MAX_REPORTED_TRIPS } from '../../protocol/limits.ts';
import { type Trip, tripSchema } from '../../protocol/trip.ts';
import type { EngineTrip } from '../engine/messages.ts';
import { tripKey } from '../engine/restraints.ts';
import { readTextIfAny, writeFileAtomically } from '../store/atomic-file.ts';

const keptSchema = z.object({
  trip: tripSchema,
  decidedAt: timestampSchema.optional(),
  inForce: z.boolean(),
});
type Kept = z.infer<typeof keptSchema>;

/**
 * What guards of this host took back, on its disk. In force for as long as the decision stands by which the version serves:
 * a document that only says the same again, as each does after half a day, brings nothing back. What is not in force any
 * more is kept as evidence, which a control plane that was away has yet to hear.
 */
export class Trips {
  readonly #path: string;
  #kept: readonly Kept[] = [];
  #saving: Promise<void> = Promise.resolve();

  constructor(folder: string) {
    this.#path = join(folder, 'trips.json');
  }

  async load(): Promise<void> {
    const text = await readTextIfAny(this.#path);
    if (text === null) return;
    this.#kept = z.array(keptSchema).parse(JSON.parse(text));
  }

  /** Uses of versions that may not serve: `tripKey`. */
  get keys(): ReadonlySet<string> {
    return new Set(this.#kept.filter(({ inForce }) => inForce).map(keyOf));
  }

  /**
   * As `keys`, and what was in force before: until engines have the plan of a newer decision, they serve by the older one.
   * No plan of a newer decision has a key of these.
   */
  get everyKey(): ReadonlySet<string> {
    const stands = (kept: Kept) => kept.inForce || kept.decidedAt !== undefined;
    return new Set(this.#kept.filter(stands).map(keyOf));
  }

  /** For the report: those in force, and the latest of the others, oldest first. */
  get evidence(): readonly Trip[] {
    return this.#kept.map(({ trip }) => trip).slice(-MAX_REPORTED_TRIPS);
  }

  /** The trip that is in force for a use, or undefined. */
  get(key: string): Trip | undefined {
    return this.#kept.find((kept) => kept.inForce && keyOf(kept) === key)?.trip;
  }

  /** In force at once. Null when it is already: another engine said so first. */
  add({ decidedAt, ...use }: EngineTrip, outcome: Trip['outcome']): Trip | null {
    if (this.keys.has(tripKey(use.deployment, { manifest: use.manifest, decidedAt }))) return null;
    const trip: Trip = { id: `trp_${randomBytes(8).toString('hex')}`, ...use, outcome };
    const decided = decidedAt === undefined ? {} : { decidedAt };
    this.#kept = bounded([...this.#kept, { trip, ...decided, inForce: true }]);
    return trip;
  }

  /** A newer document: what somebody has decided anew since is free to serve again. Whether anything is. */
  follow({ deployments }: DesiredState): boolean {
    const stands = ({ trip, decidedAt }: Kept) =>
      deployments.some(
        ({ name, guard, arms }) =>
          name === trip.deployment &&
          guard !== undefined &&
          arms.some((arm) => arm.decidedAt === decidedAt),
      );
    const freed = new Set(this.#kept.filter((kept) => kept.inForce && !stands(kept)));
    if (freed.size === 0) return false;
    const kept = this.#kept.map((each) => (freed.has(each) ? { ...each, inForce: false } : each));
    this.#kept = bounded(kept);
    return true;
  }

  /** Resolves when nothing is being written any more. */
  settled(): Promise<void> {
    return this.#saving;
  }

  /** Resolves when what is known now is on the disk. */
  save(): Promise<void> {
    const text = `${JSON.stringify(this.#kept, null, 2)}\n`;
    const saved = this.#saving.then(() => writeFileAtomically(this.#path, text));
    this.#saving = saved.catch(() => undefined);
    return saved;
  }
}

function keyOf({ trip, decidedAt }: Kept): string {
  return tripKey(trip.deployment, { manifest: trip.manifest, decidedAt });
}

/** Those in force, however many; of the others the latest. */
function bounded(kept: readonly Kept[]): readonly Kept[] {
  const over = kept.filter(({ inForce }) => !inForce).length - MAX_REPORTED_TRIPS;
  if (over <= 0) return kept;
  const oldest = new Set(kept.filter(({ inForce }) => !inForce).slice(0, over));
  return kept.filter((each) => !oldest.has(each));
}
