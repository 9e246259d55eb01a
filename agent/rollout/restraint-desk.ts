import type { DesiredState } from '../../protocol/desired.ts';
import { isGuarded } from '../../protocol/guard.ts';
import type { Lease, Renewal, ReportedLease } from '../../protocol/lease.ts';
import { describeBreach, describeOutcome, type Trip } from '../../protocol/trip.ts';
import type { EngineTrip, ServingPlan } from '../engine/messages.ts';
import { type Closing, type Restraints, tripKey } from '../engine/restraints.ts';
import { messageOf } from '../error.ts';
import type { RestraintFigures } from '../metrics/exposition.ts';
import { LeaseKeeper, type LeaseKeeperOptions } from './lease-keeper.ts';
import { Trips } from './trips.ts';

export interface RestraintDeskOptions extends Pick<LeaseKeeperOptions, 'uptimeMs' | 'wallMs'> {
  readonly folder: string;
  /** In force in every engine, at once. */
  restrain(restraints: Restraints): void;
  /** The plan that engines serve. */
  serving(): ServingPlan | null;
  /** A trip is on the disk: what follows of it may be planned. */
  onTripped(): void;
  /** What reports say of leases has changed. */
  onLeases(): void;
  onLapsed(detail: string): void;
  log(level: 'info' | 'warn' | 'error', message: string, detail: object): void;
}

/**
 * What this host does not let serve, online or not: versions that its guards took back, and deployments whose lease has
 * lapsed. Both hold under every plan, so that neither waits for a download, and a restart begins with them.
 *
 *     engine: a threshold is passed ──▶ out in that engine, in the same turn
 *        └─ tripped ──▶ every engine of the host, and the disk ──▶ plan without it ──▶ report, until it is heard
 *     document, renewal ──▶ lease ── lapsed ──▶ every engine of the host
 */
export class RestraintDesk {
  readonly #options: RestraintDeskOptions;
  readonly #trips: Trips;
  readonly #leases: LeaseKeeper;
  #restrained: readonly string[] = [];

  constructor(options: RestraintDeskOptions) {
    const { folder, uptimeMs, wallMs } = options;
    this.#options = options;
    this.#trips = new Trips(folder);
    const clocks = { ...(uptimeMs ? { uptimeMs } : {}), ...(wallMs ? { wallMs } : {}) };
    this.#leases = new LeaseKeeper({
      ...{ folder, ...clocks },
      onChange: () => {
        this.#restrain();
        options.onLeases();
      },
      onLapsed: (deployment, lease, atMs) => this.#lapsed(deployment, lease, atMs),
      onFailure: (reason) => options.log('error', 'the leases are not on the disk', { reason }),
    });
  }

  /** What the last stop left. What can't be read is said and forgotten: the host must serve. */
  async load(): Promise<void> {
    for (const part of [this.#trips, this.#leases]) {
      await part.load().catch((error: unknown) => {
        const reason = messageOf(error);
        this.#options.log('error', 'cannot read what was not to serve', { reason });
      });
    }
    this.#restrain();
  }

  /** Uses of versions that guards took back, for plans: `tripKey`. */
  get tripped(): ReadonlySet<string> {
    return this.#trips.keys;
  }

  /** As `tripped`, and of older decisions. */
  get everTripped(): ReadonlySet<string> {
    return this.#trips.everyKey;
  }

  get evidence(): readonly Trip[] {
    return this.#trips.evidence;
  }

  tripOf(key: string): Trip | undefined {
    return this.#trips.get(key);
  }

  leaseOf(deployment: string): ReportedLease | undefined {
    return this.#leases.of(deployment);
  }

  /** Of each deployment with a guard or a lease, for the metrics. */
  get figures(): readonly RestraintFigures[] {
    return this.#restrained.map((deployment) => {
      const keptOut = [...this.tripped].filter((key) => key.startsWith(`${deployment}\n`)).length;
      const lease = this.leaseOf(deployment);
      return {
        deployment,
        keptOut,
        leaseHeld: lease === undefined ? null : lease.state === 'held',
      };
    });
  }

  /** A document is in force. */
  follow(desired: DesiredState): void {
    this.#restrained = desired.deployments.flatMap(({ name, guard, lease }) =>
      isGuarded(guard) || lease !== undefined ? [name] : [],
    );
    const changed = this.#trips.follow(desired);
    this.#leases.follow(desired);
    this.#restrain();
    if (changed) this.#save(() => undefined);
  }

  /** These deployments do what the document says of them. */
  settle(deployments: readonly string[]): void {
    this.#leases.settle(deployments);
  }

  /** The control plane proved its time, in answer to a hello that was sent `agoMs` ago. */
  welcomed(serverTimeMs: number, agoMs: number): void {
    this.#leases.welcomed(serverTimeMs, agoMs);
  }

  /** A renewal whose signature holds; `settled`: which deployments do what the document says. */
  renewed(renewal: Renewal, settled: readonly string[]): void {
    this.#leases.renew(renewal);
    this.#leases.settle(settled);
  }

  /** One engine has taken an arm back. The others follow at once; the disk is written to meanwhile. */
  took(trip: EngineTrip): void {
    const added = this.#trips.add(trip, this.#outcomeOf(trip));
    if (added === null) return;
    this.#restrain();
    const told = `${describeBreach(added.breach)}: ${describeOutcome(added)}`;
    const { deployment, version, arm } = added;
    this.#options.log('error', 'guard tripped', { deployment, version, arm, told });
    this.#save(() => this.#options.onTripped());
  }

  #outcomeOf({ deployment, manifest, arm }: EngineTrip): Trip['outcome'] {
    const plan = this.#options.serving()?.deployments.find(({ name }) => name === deployment);
    const { standby } = plan ?? {};
    const stable = plan?.arms.find((each) => each.arm === 'stable');
    const instead = arm === 'stable' ? standby : stable;
    const other = instead !== undefined && instead.manifest !== manifest;
    if (other && !this.tripped.has(tripKey(deployment, instead))) {
      return { kind: 'reverted', version: instead.version };
    }
    const serves = arm === 'stable' && (plan?.guard?.withoutLastGood ?? 'serve') === 'serve';
    return { kind: serves ? 'kept' : 'refused' };
  }

  #restrain(): void {
    const message =
      'this host has not heard for too long that it may still serve this deployment; it will once it reaches its control plane';
    const closed = this.#leases.stopped.map((name): [string, Closing] => [
      name,
      { code: 'lease_lapsed', message: `"${name}" has no lease: ${message}` },
    ]);
    this.#options.restrain({
      tripped: [...this.#trips.everyKey],
      closed: Object.fromEntries(closed),
    });
  }

  #lapsed(deployment: string, { durationMs, afterwards }: Lease, atMs: number): void {
    const at = new Date(atMs).toISOString();
    const then = afterwards === 'stop' ? 'it answers 503' : 'it goes on';
    const detail = `deployment=${deployment}: its lease of ${durationMs / 1000} s lapsed at ${at}: ${then}`;
    this.#options.log('error', 'lease lapsed', { detail });
    this.#options.onLapsed(detail);
  }

  #save(then: () => void): void {
    this.#trips.save().then(then, (error: unknown) => {
      const reason = messageOf(error);
      this.#options.log('error', 'what guards took back is not on the disk', { reason });
      then();
    });
  }

  async stop(): Promise<void> {
    await this.#leases.stop();
    await this.#trips.settled();
  }
}
