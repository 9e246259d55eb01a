import type { AgentId } from '../../protocol/ids.ts';
import { type Envelope, type SigningKey, seal } from '../../protocol/signing.ts';
import { BATCHES_SINCE } from '../../protocol/version.ts';
import type { Place } from '../residency/residency.ts';
import { touchAgents } from '../store/agents.ts';
import { type Assignment, insertAssignments } from '../store/assignments.ts';
import { currentGeneration, nextGenerations } from '../store/counters.ts';
import type { Store, Transaction } from '../store/database.ts';
import { allDeployments } from '../store/deployments.ts';
import {
  allDesired,
  findDesired,
  findDesiredOf,
  forgetContents,
  type HostInService,
  hostsInService,
  putDesired,
} from '../store/desired.ts';
import {
  type DocumentContent,
  type DocumentStamp,
  documentBytes,
  documentsBytes,
  readContent,
} from './desired.ts';
import { fleetPlan, shortestOf } from './fleet-plan.ts';
import { sealDesired } from './sign-batch.ts';

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

/** A document in force, as it is sent. */
export interface SignedDocument {
  readonly agentId: AgentId;
  readonly generation: number;
  readonly content: DocumentContent;
  readonly envelope: Envelope;
}

/** What a change has put in force. */
export interface Published {
  readonly documents: readonly SignedDocument[];
  readonly generation: number;
  /** What time-to-revert is measured from; null: single hosts have got what others had before. */
  readonly requestedAtMs: number | null;
}

/** Told of new documents after the commit and before the first byte leaves. */
export type OnPublished = (published: Published) => void;

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
    for (const row of await allDesired(this.#store.read)) {
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
   * @param only documents of these hosts, when no other can have changed
   */
  async change<T>(
    now: number,
    work: (tx: Transaction) => Promise<T>,
    after: (tx: Transaction, result: T, generation: number) => Promise<void> = async () => {},
    only: readonly OneHost[] | null = null,
  ): Promise<Change<T>> {
    const { result, generation } = await this.#change(now, work, after, only);
    return { result, generation };
  }

  /** As `change`; also what `after` found, and the documents that were put in force. */
  async #change<T, F>(
    now: number,
    work: (tx: Transaction) => Promise<T>,
    after: (tx: Transaction, result: T, generation: number) => Promise<F>,
    only: readonly OneHost[] | null,
  ): Promise<Change<T> & { readonly found: F; readonly documents: readonly SignedDocument[] }> {
    const decide = async (tx: Transaction) => {
      const result = await work(tx);
      const { documents, shortestLeaseMs } = await this.#documents(tx, now, only);
      const generation = documents[0]?.generation ?? (await currentGeneration(tx));
      const found = await after(tx, result, generation);
      return { result, generation, found, documents, shortestLeaseMs };
    };
    const { shortestLeaseMs, ...change } = await (only === null
      ? this.#store.writeFirst(decide)
      : this.#store.write(decide));
    const { documents, generation } = change;
    this.#shortestLeaseMs = shortestLeaseMs;
    for (const { agentId, generation } of documents) {
      this.#inForce.set(agentId, { generation, requestedAtMs: now });
    }
    const requestedAtMs = only === null ? now : null;
    if (documents.length > 0) this.#onPublished({ documents, generation, requestedAtMs });
    return change;
  }

  /** Forgets what no document says any more. */
  async tidy(): Promise<void> {
    await this.#store.write(forgetContents);
  }

  /** A host that is out of service follows no document. */
  forget(agent: AgentId): void {
    this.#inForce.delete(agent);
  }

  /**
   * Hosts that have linked: puts a document in force for those that shall have another, and resolves with the one in force
   * for each that has one, signed anew, all with one signature.
   */
  async arrive(now: number, hosts: readonly OneHost[]): Promise<SignedDocument[]> {
    const ids = hosts.map(({ agent }) => agent);
    const { documents: made, found } = await this.#change(
      now,
      (tx) => touchAgents(tx, ids, now),
      (tx) => findDesiredOf(tx, ids),
      hosts,
    );
    const signed = new Set(made.map(({ agentId }) => agentId));
    const contents = new Map(
      found.contents.map((each) => [each.hash, readContent(each.deployments)]),
    );
    const rest = found.documents.filter(({ agentId }) => !signed.has(agentId));
    const again = await this.#sign(
      rest.map((stored) => ({ ...stored, content: contentIn(contents, stored.contentHash) })),
    );
    return [...made, ...again];
  }

  /** The document in force for a host, signed anew. */
  async current(agent: AgentId): Promise<SignedDocument | null> {
    const stored = await findDesired(this.#store.read, agent);
    if (stored === null) return null;
    const { agentId, generation, deployments } = stored;
    const envelope = await seal(this.#key, 'desired', documentBytes(stored, deployments));
    return { agentId, generation, content: readContent(deployments), envelope };
  }

  async #documents(
    tx: Transaction,
    now: number,
    only: readonly OneHost[] | null,
  ): Promise<{ documents: SignedDocument[]; shortestLeaseMs: number | null }> {
    const plan = await fleetPlan(tx, this.#place);
    const { shortestLeaseMs } = plan;
    const changed: Omit<Draft, 'generation'>[] = [];
    const held = new Map<AgentId, number>();
    for (const { agent, held: generation } of only ?? []) {
      held.set(agent, Math.max(generation, held.get(agent) ?? 0));
    }
    for (const host of await hostsInService(tx, only === null ? null : [...held.keys()])) {
      const content = plan.contentFor(host);
      if (!this.#holds(host, content, now, held.get(host.id) ?? 0)) changed.push({ host, content });
    }
    if (changed.length === 0) return { documents: [], shortestLeaseMs };
    const first = await nextGenerations(tx, changed.length);
    const drafts = changed.map((draft, at) => ({ ...draft, generation: first + at }));
    await this.#put(tx, drafts, now);
    const times = { issuedAt: now, expiresAt: now + DESIRED_LIFE_MS };
    const unsigned = drafts.map(({ host: { id: agentId, protocol }, generation, content }) => ({
      ...{ agentId, protocol, generation, content, ...times },
    }));
    return { documents: await this.#sign(unsigned), shortestLeaseMs };
  }

  /** Whether the document that a host has says what it shall, and will for a while. */
  #holds(
    { document }: HostInService,
    { hash }: DocumentContent,
    now: number,
    held: number,
  ): boolean {
    return (
      document !== null &&
      now < document.issuedAt + DESIRED_LIFE_MS / 2 &&
      document.generation >= held &&
      document.keyId === this.#key.keyId &&
      document.contentHash === hash
    );
  }

  async #put(tx: Transaction, drafts: readonly Draft[], now: number): Promise<void> {
    const contents = new Map(drafts.map(({ content }) => [content.hash, content]));
    const rows = drafts.map(({ host, generation, content }) => ({
      ...{ agentId: host.id, generation, contentHash: content.hash },
    }));
    const times = { issuedAt: now, expiresAt: now + DESIRED_LIFE_MS, createdAt: now };
    const { keyId } = this.#key;
    await putDesired(tx, rows, [...contents.values()], { keyId, ...times });
    const assignments = drafts.flatMap(({ host, content }) =>
      content.names.map((deployment): Assignment => ({ agentId: host.id, deployment })),
    );
    await insertAssignments(tx, assignments);
  }

  /** One signature for all who can read batches, and one each for older agents. In their order. */
  async #sign(unsigned: readonly UnsignedDocument[]): Promise<SignedDocument[]> {
    const payloads = documentsBytes(
      unsigned.map((stamp) => ({ stamp, deployments: stamp.content.deployments })),
    );
    const batched = unsigned.map(({ protocol }) => protocol >= BATCHES_SINCE);
    const together = await sealDesired(
      this.#key,
      payloads.filter((_, at) => batched[at]),
    );
    const documents: SignedDocument[] = [];
    let next = 0;
    for (const [at, { agentId, generation, content }] of unsigned.entries()) {
      const envelope = batched[at]
        ? together[next++]
        : await seal(this.#key, 'desired', payloads[at]);
      documents.push({ agentId, generation, content, envelope });
    }
    return documents;
  }
}

/** A document that is to be put in force. */
interface Draft {
  readonly host: HostInService;
  readonly generation: number;
  readonly content: DocumentContent;
}

interface UnsignedDocument extends DocumentStamp {
  /** What the host speaks. */
  readonly protocol: number;
  readonly content: DocumentContent;
}

function contentIn(contents: ReadonlyMap<string, DocumentContent>, hash: string): DocumentContent {
  const content = contents.get(hash);
  if (content === undefined) throw new Error(`a document says ${hash}, which is not kept`);
  return content;
}
