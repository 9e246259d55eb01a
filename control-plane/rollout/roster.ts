import type { AgentId, Digest, Labels } from '../../protocol/ids.ts';
import type { ReportedArm, ReportMessage } from '../../protocol/report.ts';
import type { Host, Place } from '../residency/residency.ts';
import type { AgentRow } from '../store/agents.ts';
import type { InForce } from './publisher.ts';
import { SAID_NOTHING, type Standing, Standings } from './standing.ts';

/** A host as the rollout driver keeps it at hand; the database has the same. */
export interface RosterEntry {
  readonly id: AgentId;
  readonly name: string;
  readonly labels: Labels;
  readonly jurisdiction: Place;
  readonly enrolledAtMs: number;
  applied: number;
  observed: number;
  /** It refuses requests: whatever it serves, it shows nothing of it. */
  draining: boolean;
  /** When `applied` was first reported; null: not since this control plane knows the host. */
  appliedAtMs: number | null;
  /** Deployments that are not as they were asked to be: the stable version is refused, or one is still on its way. */
  unserved: ReadonlySet<string>;
  /** As of its latest report, and over restarts of this control plane. */
  standing: Standing;
  /** What it refuses as of `observed`. */
  refusals: readonly Refusal[];
}

export interface Refusal {
  readonly deployment: string;
  readonly manifest: Digest;
  readonly reason: string;
}

/** Changes that hosts are still to confirm, each with its own stopwatch and a time for each host. The oldest are dropped. */
const MAX_STOPWATCHES = 16;

/** Of nearly every host, and therefore one for all. */
const NOTHING: ReadonlySet<string> = new Set();

interface Stopwatch {
  readonly generation: number;
  readonly requestedAtMs: number;
  readonly confirmedAfterMs: Map<AgentId, number>;
}

/** Every host, what it has applied, and how long it took. Owned by the rollout driver; no I/O. */
export class Roster {
  readonly #entries = new Map<AgentId, RosterEntry>();
  readonly #standings = new Standings();
  /** Newest first. */
  readonly #stopwatches: Stopwatch[] = [];
  readonly #inForce: (agent: AgentId) => InForce;

  /** @param inForce which document a host should follow */
  constructor(inForce: (agent: AgentId) => InForce) {
    this.#inForce = inForce;
  }

  add(row: AgentRow): void {
    if (this.#entries.has(row.id)) return;
    this.#entries.set(row.id, {
      id: row.id,
      name: row.name,
      labels: row.labels,
      jurisdiction: row.jurisdiction,
      enrolledAtMs: row.joinedAt,
      applied: row.appliedGeneration,
      observed: row.observedGeneration,
      draining: row.draining,
      appliedAtMs: row.appliedAt,
      unserved: NOTHING,
      standing: SAID_NOTHING,
      refusals: [],
    });
  }

  /** What a host last said, in an earlier run. */
  recall(agent: AgentId, deployments: ReportMessage['deployments']): void {
    const entry = this.#entries.get(agent);
    if (entry !== undefined) entry.standing = this.#standings.of(deployments);
  }

  remove(agent: AgentId): void {
    this.#entries.delete(agent);
  }

  /** What decides which deployments go to a host. */
  change(agent: AgentId, { labels, jurisdiction }: Host): void {
    const entry = this.#entries.get(agent);
    if (entry !== undefined) this.#entries.set(agent, { ...entry, labels, jurisdiction });
  }

  all(): RosterEntry[] {
    return [...this.#entries.values()];
  }

  /** Starts measuring how long hosts take to apply `generation`. */
  start(generation: number, requestedAtMs: number): void {
    this.#stopwatches.unshift({ generation, requestedAtMs, confirmedAfterMs: new Map() });
    if (this.#stopwatches.length > MAX_STOPWATCHES) this.#stopwatches.pop();
  }

  note(agent: AgentId, report: ReportMessage, atMs: number): void {
    const entry = this.#entries.get(agent);
    if (entry === undefined) return;
    if (report.applied !== entry.applied) entry.appliedAtMs = atMs;
    entry.applied = report.applied;
    entry.observed = report.observed;
    entry.draining = report.draining === true;
    entry.standing = this.#standings.of(report.deployments);
    const unserved = report.deployments.filter(({ arms }) => arms.some(isStillToCome));
    entry.unserved = unserved.length === 0 ? NOTHING : new Set(unserved.map(({ name }) => name));
    entry.refusals = report.deployments.flatMap(({ name: deployment, arms }) =>
      arms.flatMap((arm) =>
        // A pinned version that a host refuses holds up no rollout.
        arm.state === 'refused' && arm.arm !== 'pinned'
          ? [{ deployment, manifest: arm.manifest, reason: `${arm.code}: ${arm.detail}` }]
          : [],
      ),
    );
    if (entry.unserved.size === 0) this.#stop(entry, atMs);
  }

  #stop(entry: RosterEntry, atMs: number): void {
    for (const { generation, requestedAtMs, confirmedAfterMs } of this.#stopwatches) {
      // Whoever has confirmed a change had confirmed all before it.
      if (confirmedAfterMs.has(entry.id)) return;
      if (!this.#reached(entry, generation)) continue;
      confirmedAfterMs.set(entry.id, Math.max(0, atMs - requestedAtMs));
    }
  }

  /**
   * Whether a host does what was asked of `deployment` with `generation`. A generation is applied
   * even where a host refused a version, and kept what ran: then it doesn't.
   */
  hasApplied(entry: RosterEntry, generation: number, deployment: string): boolean {
    return this.#reached(entry, generation) && !entry.unserved.has(deployment);
  }

  /** A host for which nothing changed has an older document, and is there when it has applied that. */
  #reached(entry: RosterEntry, generation: number): boolean {
    return entry.applied >= Math.min(generation, this.#inForce(entry.id).generation);
  }

  /** As `hasApplied`, or it said that it won't: waiting longer for it changes nothing. */
  hasSettled(entry: RosterEntry, generation: number, deployment: string): boolean {
    if (this.hasApplied(entry, generation, deployment)) return true;
    const wanted = Math.min(generation, this.#inForce(entry.id).generation);
    const refuses = entry.refusals.some((refusal) => refusal.deployment === deployment);
    return entry.observed >= wanted && refuses;
  }

  /** From the request to the host's report; 0 when nothing had to change there, null: not yet. */
  confirmedAfterMs(entry: RosterEntry, generation: number, deployment: string): number | null {
    if (!this.hasApplied(entry, generation, deployment)) return null;
    const document = this.#inForce(entry.id);
    if (document.generation < generation) return 0;
    const watch = this.#stopwatches.find((each) => each.generation === generation);
    const measured = watch?.confirmedAfterMs.get(entry.id);
    if (measured !== undefined) return measured;
    // Measured before a restart: what is left are the times of the host's latest document.
    return Math.max(0, (entry.appliedAtMs ?? 0) - document.requestedAtMs);
  }
}

/** A stable arm that isn't served, for whatever reason, and a candidate that is still on its way. */
function isStillToCome({ arm, state }: ReportedArm): boolean {
  if (arm === 'stable') return state !== 'serving';
  return arm === 'candidate' && state === 'fetching';
}
