import type { AgentId } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import { describeBreach, describeOutcome, type Trip } from '../../protocol/trip.ts';
import { record } from '../audit/record.ts';
import { assignedOf } from '../store/assignments.ts';
import type { Transaction } from '../store/database.ts';
import { insertTrip, KEEP_TRIPS_MS, recordedOf } from '../store/guard-trips.ts';
import { PerHostRate } from './per-host-rate.ts';

/** Trips of one host that are recorded in an hour. Each comes again with the next report, so that none is lost. */
export const MAX_TRIPS_PER_HOUR = 60;
const HOUR_MS = 3_600_000;

export interface RecordedTrips {
  /** The report's trips that are in the record once this transaction is. */
  readonly known: ReadonlySet<string>;
  /** Those of them that it had not heard of. */
  readonly news: readonly Trip[];
}

/** Of nearly every report. */
const NONE: RecordedTrips = { known: new Set(), news: [] };

/**
 * What guards of hosts took back, into the record once each. A host speaks only for deployments that it was ever given, and
 * its ids are its own: what it says takes nothing from another's.
 */
export class TripRecorder {
  readonly #rate = new PerHostRate(MAX_TRIPS_PER_HOUR, HOUR_MS);
  /** Trips that are in the record, so that a report that repeats them costs no write. */
  readonly #known = new Map<AgentId, ReadonlySet<string>>();

  async record(
    tx: Transaction,
    agent: AgentId,
    report: ReportMessage,
    now: number,
  ): Promise<RecordedTrips> {
    const trips = report.trips ?? [];
    if (trips.length === 0) return NONE;
    const before = this.#known.get(agent);
    const known = new Set(trips.map(({ id }) => id).filter((id) => before?.has(id)));
    // A host brings a trip for as long as it has it: one whose time is over, by the host's own clock, is not to come back.
    const fresh = trips.filter(({ id, at }) => !known.has(id) && at > report.at - KEEP_TRIPS_MS);
    if (fresh.length === 0) return { known, news: [] };
    for (const id of await recordedOf(tx, agent, fresh)) known.add(id);
    const names = [...new Set(fresh.map(({ deployment }) => deployment))];
    const pairs = names.map((deployment) => ({ agentId: agent, deployment }));
    const assigned = new Set((await assignedOf(tx, pairs)).map(({ deployment }) => deployment));
    const news: Trip[] = [];
    for (const trip of fresh) {
      if (known.has(trip.id) || !assigned.has(trip.deployment)) continue;
      if (!this.#rate.allows(agent, now)) break;
      await insertTrip(tx, agent, trip, now);
      await recordTrip(tx, agent, trip, now);
      known.add(trip.id);
      news.push(trip);
    }
    return { known, news };
  }

  /** What `record` said is in the database. */
  recorded(agent: AgentId, trips: ReadonlySet<string>): void {
    if (trips.size === 0) this.#known.delete(agent);
    else this.#known.set(agent, trips);
  }
}

async function recordTrip(tx: Transaction, agent: AgentId, trip: Trip, now: number): Promise<void> {
  const { breach, outcome, ...use } = trip;
  const told = `${describeBreach(breach)}: ${describeOutcome(trip)}`;
  const detail = { ...use, told, breach, outcome };
  await record(tx, now, `agent:${agent}`, 'agent.guard-tripped', `agent:${agent}`, detail);
}
