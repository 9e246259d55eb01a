import type { AgentId } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { EventMessage } from '../../protocol/telemetry.ts';
import { record } from '../audit/record.ts';
import type { RolloutDriver } from '../rollout/driver.ts';
import type { FleetDesk } from '../rollout/fleet.ts';
import type { Roster } from '../rollout/roster.ts';
import type { Store } from '../store/database.ts';
import { putReport } from '../store/reports.ts';

/** Events of one host that are recorded in a minute. A host in a crash loop must not fill the disk. */
export const MAX_EVENTS_PER_MINUTE = 60;

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
  readonly #events = new Map<AgentId, { minute: number; count: number }>();

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
    });
    this.#refusals.set(agent, new Set(refused.keys()));
    this.#deps.roster.note(agent, report, receivedAt);
    this.#deps.driver.onReport();
    this.#deps.fleet.wake();
  }

  async event(agent: AgentId, event: EventMessage): Promise<void> {
    const now = this.#deps.now();
    const minute = Math.floor(now / 60_000);
    const last = this.#events.get(agent);
    const count = last?.minute === minute ? last.count + 1 : 1;
    this.#events.set(agent, { minute, count });
    if (count > MAX_EVENTS_PER_MINUTE) return;
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
