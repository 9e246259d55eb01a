import type { AgentId } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { EventMessage } from '../../protocol/telemetry.ts';
import { describeBreach, describeOutcome, type Trip } from '../../protocol/trip.ts';
import { record } from '../audit/record.ts';
import type { RolloutDriver } from '../rollout/driver.ts';
import type { FleetDesk } from '../rollout/fleet.ts';
import type { Roster } from '../rollout/roster.ts';
import type { Store, Transaction } from '../store/database.ts';
import { insertTrip } from '../store/guard-trips.ts';
import { putReport } from '../store/reports.ts';

/** Events of one host that are recorded in a minute. A host in a crash loop must not fill the disk. */
export const MAX_EVENTS_PER_MINUTE = 60;
/** Trips of one host that are recorded in a minute. Each comes again with the next report, so that none is lost. */
export const MAX_TRIPS_PER_MINUTE = 60;

export interface ReportsDeps {
  readonly store: Store;
  readonly roster: Roster;
  readonly driver: RolloutDriver;
  readonly fleet: FleetDesk;
  readonly now: () => number;
  /** A detector on a host found that a model errs in another way. */
  readonly onHostDrift: (agent: AgentId, detail: string) => Promise<void>;
}

/** What hosts say of themselves: into the database first, then to whoever waits for it. */
export class Reports {
  readonly #deps: ReportsDeps;
  /** Refusals already recorded, so that each is recorded once and not with every report. */
  readonly #refusals = new Map<AgentId, ReadonlySet<string>>();
  readonly #events = new PerMinute(MAX_EVENTS_PER_MINUTE);
  readonly #trips = new PerMinute(MAX_TRIPS_PER_MINUTE);
  /** Trips that are in the record, so that a report that repeats them costs no write. */
  readonly #tripsKnown = new Map<AgentId, ReadonlySet<string>>();

  constructor(deps: ReportsDeps) {
    this.#deps = deps;
  }

  async take(agent: AgentId, report: ReportMessage): Promise<void> {
    const receivedAt = this.#deps.now();
    const refused = refusalsIn(report);
    const known = this.#refusals.get(agent) ?? new Set();
    await this.#deps.store.write(async (tx) => {
      await putReport(tx, agent, report, receivedAt);
      for (const [key, detail] of refused) {
        if (known.has(key)) continue;
        const actor = `agent:${agent}` as const;
        await record(tx, receivedAt, actor, 'agent.refused-version', `agent:${agent}`, detail);
      }
      await this.#recordTrips(tx, agent, report.trips ?? [], receivedAt);
    });
    this.#refusals.set(agent, new Set(refused.keys()));
    this.#deps.roster.note(agent, report, receivedAt);
    this.#deps.driver.onReport();
    this.#deps.fleet.wake();
  }

  async #recordTrips(
    tx: Transaction,
    agent: AgentId,
    trips: readonly Trip[],
    now: number,
  ): Promise<void> {
    const known = new Set(this.#tripsKnown.get(agent));
    for (const trip of trips) {
      if (known.has(trip.id)) continue;
      if (!this.#trips.allows(agent, now)) return;
      known.add(trip.id);
      if (!(await insertTrip(tx, agent, trip, now))) continue;
      const { breach, outcome, ...use } = trip;
      const told = `${describeBreach(breach)}: ${describeOutcome(trip)}`;
      const detail = { ...use, told, breach, outcome };
      await record(tx, now, `agent:${agent}`, 'agent.guard-tripped', `agent:${agent}`, detail);
    }
    // No more than the report has: what it no longer brings is not asked for again.
    this.#tripsKnown.set(agent, new Set(trips.flatMap(({ id }) => (known.has(id) ? [id] : []))));
  }

  async event(agent: AgentId, event: EventMessage): Promise<void> {
    const now = this.#deps.now();
    if (!this.#events.allows(agent, now)) return;
    const { name, detail, at } = event;
    const what = { name, detail, at };
    await this.#deps.store.write((tx) =>
      record(tx, now, `agent:${agent}`, 'agent.event', `agent:${agent}`, what),
    );
    if (name === 'concept-drift') await this.#deps.onHostDrift(agent, detail);
  }
}

/** How many of something a host may bring in one minute. */
class PerMinute {
  readonly #most: number;
  readonly #counts = new Map<AgentId, { minute: number; count: number }>();

  constructor(most: number) {
    this.#most = most;
  }

  allows(agent: AgentId, now: number): boolean {
    const minute = Math.floor(now / 60_000);
    const last = this.#counts.get(agent);
    const count = last?.minute === minute ? last.count + 1 : 1;
    this.#counts.set(agent, { minute, count });
    return count <= this.#most;
  }
}

function refusalsIn(report: ReportMessage): Map<string, Record<string, unknown>> {
  const refused = new Map<string, Record<string, unknown>>();
  for (const { name: deployment, arms } of report.deployments) {
    for (const arm of arms) {
      if (arm.state !== 'refused') continue;
      const { manifest, version, code, detail } = arm;
      refused.set(`${deployment} ${manifest}`, { deployment, manifest, version, code, detail });
    }
  }
  return refused;
}
