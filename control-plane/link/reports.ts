import { setTimeout } from 'node:timers/promises';
import type { AgentId } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { EventMessage } from '../../protocol/telemetry.ts';
import { record } from '../audit/record.ts';
import type { RolloutDriver } from '../rollout/driver.ts';
import type { FleetDesk } from '../rollout/fleet.ts';
import type { Roster } from '../rollout/roster.ts';
import type { Store, Transaction } from '../store/database.ts';
import { putReports, type ReceivedReport } from '../store/reports.ts';
import type { GuardAlerts, ToldTrips } from './guard-alerts.ts';
import { PerHostRate } from './per-host-rate.ts';
import { TripRecorder } from './trip-recorder.ts';

/** Events of one host that are recorded in a minute. A host in a crash loop must not fill the disk. */
export const MAX_EVENTS_PER_MINUTE = 60;

/** Reports of one transaction. */
const MAX_BATCH = 5_000;
/**
 * How long those that came while others were written wait for company. A single report waits for nothing; after a rollback
 * thousands come within a second, and each commit would hold up the reading of the rest.
 */
const BATCH_WAIT_MS = 20;
/** When so many have come, a fleet answers. */
const MANY = 100;
const FLEET_WAIT_MS = 150;

interface Waiting extends ReceivedReport {
  resolve(): void;
  reject(error: unknown): void;
}

export interface ReportsDeps {
  readonly store: Store;
  readonly roster: Pick<Roster, 'note'>;
  readonly driver: Pick<RolloutDriver, 'onReport'>;
  readonly fleet: Pick<FleetDesk, 'wake'>;
  readonly guardAlerts: Pick<GuardAlerts, 'take'>;
  readonly now: () => number;
  /** A detector on a host found that a model errs in another way. */
  readonly onHostDrift: (agent: AgentId, detail: string) => Promise<void>;
}

/** What hosts say of themselves: into the database first, then to whoever waits for it. */
export class Reports {
  readonly #deps: ReportsDeps;
  /** Refusals already recorded, so that each is recorded once and not with every report. */
  readonly #refusals = new Map<AgentId, ReadonlySet<string>>();
  #waiting: Waiting[] = [];
  #busy = false;
  readonly #events = new PerHostRate(MAX_EVENTS_PER_MINUTE, 60_000);
  readonly #trips = new TripRecorder();

  constructor(deps: ReportsDeps) {
    this.#deps = deps;
  }

  /** Resolves when it is in the database and everybody who waits for it has been told. */
  take(agent: AgentId, report: ReportMessage): Promise<void> {
    const receivedAt = this.#deps.now();
    return new Promise((resolve, reject) => {
      this.#waiting.push({ agent, report, receivedAt, resolve, reject });
      if (!this.#busy) void this.#drain();
    });
  }

  async #drain(): Promise<void> {
    this.#busy = true;
    while (this.#waiting.length > 0) {
      await this.#takeSome();
      // Of hosts, and not of reports: those of one host can't go together.
      const left = new Set(this.#waiting.map(({ agent }) => agent)).size;
      if (left > 0 && left < MAX_BATCH) {
        await setTimeout(left < MANY ? BATCH_WAIT_MS : FLEET_WAIT_MS);
      }
    }
    this.#busy = false;
  }

  /**
   * Those that came while others were written go together, and rollouts are looked at once for all of them: a look is at
   * every host, so that one for each report of a fleet would take the square of its size.
   */
  async #takeSome(): Promise<void> {
    const batch = this.#nextBatch();
    const known = new Map<AgentId, ReadonlySet<string>>();
    try {
      await this.#deps.store.write(async (tx) => {
        await putReports(tx, batch);
        for (const one of batch) await this.#recordRefusals(tx, one);
        const told: ToldTrips[] = [];
        for (const { agent, report, receivedAt } of batch) {
          const recorded = await this.#trips.record(tx, agent, report, receivedAt);
          known.set(agent, recorded.known);
          if (recorded.news.length > 0) told.push({ report, trips: recorded.news });
        }
        await this.#deps.guardAlerts.take(tx, told, this.#deps.now());
      });
      for (const [agent, trips] of known) this.#trips.recorded(agent, trips);
      for (const { agent, report, receivedAt } of batch) {
        const refused = refusalsIn(report);
        if (refused.size === 0) this.#refusals.delete(agent);
        else this.#refusals.set(agent, new Set(refused.keys()));
        this.#deps.roster.note(agent, report, receivedAt);
      }
      this.#deps.driver.onReport();
      this.#deps.fleet.wake();
      for (const { resolve } of batch) resolve();
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }

  /** The first report of each agent; its next one waits for the next batch, and holds up nobody else's. */
  #nextBatch(): Waiting[] {
    const batch = new Map<AgentId, Waiting>();
    const left: Waiting[] = [];
    for (const next of this.#waiting) {
      if (batch.size === MAX_BATCH || batch.has(next.agent)) left.push(next);
      else batch.set(next.agent, next);
    }
    this.#waiting = left;
    return [...batch.values()];
  }

  async #recordRefusals(tx: Transaction, { agent, report, receivedAt }: Waiting): Promise<void> {
    const known = this.#refusals.get(agent);
    for (const [key, detail] of refusalsIn(report)) {
      if (known?.has(key)) continue;
      const actor = `agent:${agent}` as const;
      await record(tx, receivedAt, actor, 'agent.refused-version', `agent:${agent}`, detail);
    }
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
