import type { DesiredDeployment, DesiredState } from '../../protocol/desired.ts';
import type { AgentId } from '../../protocol/ids.ts';
import type { Lease } from '../../protocol/lease.ts';
import { type SigningKey, seal } from '../../protocol/signing.ts';
import { BATCHES_SINCE } from '../../protocol/version.ts';
import { ControlError } from '../error.ts';
import { type Place, withheldFrom } from '../residency/residency.ts';
import { type AgentRow, allAgents, findAgent, inService } from '../store/agents.ts';
import { type Assignment, insertAssignments } from '../store/assignments.ts';
import { currentGeneration, nextGenerations } from '../store/counters.ts';
import type { Reader, Store, Transaction } from '../store/database.ts';
import { allDeployments, type DeploymentRow, servingOf, targetOf } from '../store/deployments.ts';
import {
  allDesiredStamps,
  type DesiredRow,
  findDesired,
  putDesired,
  storedInclusion,
} from '../store/desired.ts';
import { findVersion } from '../store/models.ts';
import { allRefusals } from '../store/reports.ts';
import { liveRollouts } from '../store/rollouts.ts';
import {
  contentHash,
  type DeploymentPlan,
  desiredFor,
  type RolloutPlan,
  type VersionRef,
} from './desired.ts';
import { sealDesired } from './sign-batch.ts';
import { parseRollout, planOf } from './stored-rollout.ts';

/** How long a document is in force. An unreachable host keeps its last good version anyway. */
export const DESIRED_LIFE_MS = 24 * 3_600_000;

export interface Change<T> {
  readonly result: T;
  /** A host that applied this generation (or has no newer document) does what was asked. */
  readonly generation: number;
}

/** Which document a host should follow, and when it was asked for. */
export interface InForce {
  readonly generation: number;
  readonly requestedAtMs: number;
}

/** One host, and the generation that it has: an older document, put back from a backup, would be refused there. */
export interface OneHost {
  readonly agent: AgentId;
  readonly held: number;
}

/** Told of new documents after the commit and before the first byte leaves. */
export type OnPublished = (rows: readonly DesiredRow[], generation: number, now: number) => void;

/**
 * Turns the database into signed documents. A change and the documents that follow from it are one
 * transaction, so that no host is ever told what a crash could make untrue.
 */
export class Publisher {
  readonly #store: Store;
  readonly #key: SigningKey;
  readonly #onPublished: OnPublished;
  readonly #place: Place;
  readonly #inForce = new Map<AgentId, InForce>();
  #shortestLeaseMs: number | null = null;

  /** `place`: where this control plane is. */
  constructor(store: Store, key: SigningKey, onPublished: OnPublished, place: Place = null) {
    this.#store = store;
    this.#key = key;
    this.#onPublished = onPublished;
    this.#place = place;
  }

  async load(): Promise<void> {
    for (const row of await allDesiredStamps(this.#store.read)) {
      this.#inForce.set(row.agentId, { generation: row.generation, requestedAtMs: row.createdAt });
    }
    const deployments = await allDeployments(this.#store.read);
    this.#shortestLeaseMs = shortestOf(deployments.map(({ lease }) => lease));
  }

  /** Of any deployment; null: none has a lease. */
  get shortestLeaseMs(): number | null {
    return this.#shortestLeaseMs;
  }

  /** What is in force for a host: generation 0 when it has no document. */
  inForce(agent: AgentId): InForce {
    return this.#inForce.get(agent) ?? { generation: 0, requestedAtMs: 0 };
  }

  /**
   * Runs `work`, signs what changed for whom, and runs `after` with the generation, all in one
   * transaction; then pushes.
   *
   * @param now when the change was asked for: what time-to-revert is measured from
   * @param only one host's document, when nothing else can have changed
   */
  async change<T>(
    now: number,
    work: (tx: Transaction) => Promise<T>,
    after: (tx: Transaction, result: T, generation: number) => Promise<void> = async () => {},
    only: OneHost | null = null,
  ): Promise<Change<T>> {
    const decide = async (tx: Transaction) => {
      const result = await work(tx);
      const { rows, shortestLeaseMs } = await this.#documents(tx, now, only);
      const generation = rows[0]?.generation ?? (await currentGeneration(tx));
      await after(tx, result, generation);
      return { result, generation, rows, shortestLeaseMs };
    };
    const { rows, shortestLeaseMs, ...change } = await (only === null
      ? this.#store.writeFirst(decide)
      : this.#store.write(decide));
    this.#shortestLeaseMs = shortestLeaseMs;
    for (const { agentId, generation, createdAt } of rows) {
      this.#inForce.set(agentId, { generation, requestedAtMs: createdAt });
    }
    if (rows.length > 0) this.#onPublished(rows, change.generation, now);
    return change;
  }

  /** A host that is out of service follows no document. */
  forget(agent: AgentId): void {
    this.#inForce.delete(agent);
  }

  /** The document in force for a host that just linked. */
  async current(agent: AgentId): Promise<DesiredRow | null> {
    return findDesired(this.#store.read, agent);
  }

  async #documents(
    tx: Transaction,
    now: number,
    only: OneHost | null,
  ): Promise<Pick<FleetPlan, 'shortestLeaseMs'> & { rows: DesiredRow[] }> {
    const fleet = await fleetPlan(tx, only?.agent ?? null, this.#place);
    const present =
      only === null ? await allDesiredStamps(tx) : [await findDesired(tx, only.agent)];
    const current = new Map(present.flatMap((row) => (row === null ? [] : [[row.agentId, row]])));
    const changed: Omit<Draft, 'generation'>[] = [];
    for (const agent of fleet.agents) {
      const deployments = fleet.desiredOf(agent);
      const hash = contentHash(deployments);
      const old = current.get(agent.id);
      const fresh =
        old !== undefined &&
        now < old.issuedAt + DESIRED_LIFE_MS / 2 &&
        old.generation >= (only?.held ?? 0) &&
        old.keyId === this.#key.keyId;
      if (fresh && old.contentHash === hash) continue;
      changed.push({ agent, deployments, contentHash: hash });
    }
    const first = changed.length === 0 ? 0 : await nextGenerations(tx, changed.length);
    const drafts = changed.map((draft, at) => ({ ...draft, generation: first + at }));
    const rows = await this.#sign(drafts, now);
    await putDesired(tx, rows);
    const assignments = drafts.flatMap(({ agent, deployments }) =>
      deployments.map(({ name }): Assignment => ({ agentId: agent.id, deployment: name })),
    );
    await insertAssignments(tx, assignments);
    return { rows, shortestLeaseMs: fleet.shortestLeaseMs };
  }

  /** One signature for all who can read batches, and one each for older agents. In the order of the drafts. */
  async #sign(drafts: readonly Draft[], now: number): Promise<DesiredRow[]> {
    const expiresAt = now + DESIRED_LIFE_MS;
    const payloads = drafts.map(({ agent, generation, deployments }) => {
      const state: DesiredState = {
        ...{ agent: agent.id, generation, issuedAt: now, expiresAt, deployments },
      };
      return new TextEncoder().encode(JSON.stringify(state));
    });
    const batched = drafts.map(({ agent }) => agent.protocol >= BATCHES_SINCE);
    const together = await sealDesired(
      this.#key,
      payloads.filter((_, at) => batched[at]),
    );
    const rows: DesiredRow[] = [];
    for (const [at, { agent, generation, contentHash }] of drafts.entries()) {
      const shared = batched[at] ? together.shift() : undefined;
      const envelope = shared ?? (await seal(this.#key, 'desired', payloads[at]));
      const { payload, keyId, signature } = envelope;
      const inclusion = storedInclusion(envelope.inclusion);
      const times = { issuedAt: now, expiresAt, createdAt: now };
      const agentId = agent.id;
      rows.push({
        ...{ agentId, generation, contentHash, payload, keyId, signature, inclusion, ...times },
      });
    }
    return rows;
  }
}

/** A document that is to be signed. */
interface Draft {
  readonly agent: AgentRow;
  readonly generation: number;
  readonly deployments: DesiredDeployment[];
  readonly contentHash: string;
}

interface FleetPlan {
  readonly agents: readonly AgentRow[];
  /** Null: no deployment has a lease. */
  readonly shortestLeaseMs: number | null;
  desiredOf(agent: AgentRow): DesiredDeployment[];
}

/** @param only of one host, when it alone is asked for: a fleet that comes back at once would read itself N times */
async function fleetPlan(db: Reader, only: AgentId | null, place: Place): Promise<FleetPlan> {
  const present = only === null ? await allAgents(db) : [await findAgent(db, only)];
  const agents = present.flatMap((agent) => (agent !== null && inService(agent) ? [agent] : []));
  const deployments = await deploymentPlans(db, place);
  const rollouts = (await liveRollouts(db)).map((row) => planOf(parseRollout(row)));
  const refused = new Set((await allRefusals(db)).map(refusalKey));
  return {
    agents,
    shortestLeaseMs: shortestOf(deployments.map(({ lease }) => lease)),
    desiredOf: (agent) => {
      const { id, labels, jurisdiction, joinedAt: enrolledAtMs, protocol } = agent;
      const offered = rollouts.filter((rollout) => !isRefused(refused, rollout, id));
      const host = { id, labels, jurisdiction, enrolledAtMs, protocol };
      return desiredFor(host, deployments, offered);
    },
  };
}

/** A candidate that a host refused is not offered to it again as it stands. */
function isRefused(refused: ReadonlySet<string>, rollout: RolloutPlan, agentId: AgentId): boolean {
  const { deployment, candidate } = rollout;
  return refused.has(refusalKey({ agentId, deployment, manifest: candidate.manifest }));
}

function refusalKey(refusal: { agentId: string; deployment: string; manifest: string }): string {
  return `${refusal.agentId} ${refusal.deployment} ${refusal.manifest}`;
}

async function deploymentPlans(db: Reader, place: Place): Promise<DeploymentPlan[]> {
  const plans: DeploymentPlan[] = [];
  for (const row of await allDeployments(db)) {
    const { name, windowMs, monitoring, guard, lease, updatedAt } = row;
    const stable = await versionOf(db, row, row.version);
    const pinned: VersionRef[] = [];
    for (const version of row.pinned) pinned.push(await versionOf(db, row, version));
    const withheld = withheldFrom(row.residency, place);
    const policy = {
      ...targetOf(row),
      withheld,
      monitoring,
      guard,
      lease,
      serving: servingOf(row),
    };
    plans.push({ name, windowMs, stable, pinned, ...policy, decidedAtMs: updatedAt });
  }
  return plans;
}

function shortestOf(leases: readonly (Lease | null)[]): number | null {
  const durations = leases.flatMap((lease) => lease?.durationMs ?? []);
  return durations.length === 0 ? null : Math.min(...durations);
}

async function versionOf(db: Reader, row: DeploymentRow, version: number): Promise<VersionRef> {
  const { name, model } = row;
  const found = await findVersion(db, model, version);
  if (found === null) {
    throw new ControlError('unavailable', `${name} points at ${model}@${version}, which is gone`);
  }
  return { model, version, manifest: found.manifest };
}
