import type { AgentId } from '../../protocol/ids.ts';
import type { Session } from './session.ts';

/** Who is linked now: one session per agent, and those that have not said hello yet. */
export class Sessions {
  readonly #joined = new Map<AgentId, Session>();
  /** Its keys: a set that is made anew for each report of a fleet would take the square of its size. */
  readonly #connected = new Set<AgentId>();
  /** Linked and not approved. */
  readonly #held = new Map<AgentId, Session>();
  /** Null until its hello was accepted. */
  readonly #all = new Map<Session, AgentId | null>();

  open(session: Session): void {
    this.#all.set(session, null);
  }

  /** The newest link wins: the older one is half dead more often than it is a twin. */
  join(agent: AgentId, session: Session): void {
    if (this.#held.get(agent) === session) this.#held.delete(agent);
    this.#connected.add(agent);
    this.#put(this.#joined, agent, session);
  }

  hold(agent: AgentId, session: Session): void {
    this.#put(this.#held, agent, session);
  }

  #put(links: Map<AgentId, Session>, agent: AgentId, session: Session): void {
    const older = links.get(agent);
    links.set(agent, session);
    this.#all.set(session, agent);
    if (older !== session) older?.replace();
  }

  /** The link on which an agent waits for approval. */
  held(agent: AgentId): Session | null {
    return this.#held.get(agent) ?? null;
  }

  /** Whose link it was; null: its hello was not accepted. */
  close(session: Session): AgentId | null {
    const agent = this.#all.get(session) ?? null;
    this.#all.delete(session);
    if (agent === null) return null;
    for (const links of [this.#joined, this.#held]) {
      if (links.get(agent) === session) links.delete(agent);
    }
    if (!this.#joined.has(agent)) this.#connected.delete(agent);
    return agent;
  }

  get(agent: AgentId): Session | null {
    return this.#joined.get(agent) ?? null;
  }

  /** Every link of an agent: also one that is held, and one that has only just said hello. */
  of(agent: AgentId): Session[] {
    const all = [...this.#all].filter(([link, named]) => named === agent || link.agent === agent);
    return all.map(([link]) => link);
  }

  /** Who is linked, as of whenever it is looked at. */
  connected(): ReadonlySet<AgentId> {
    return this.#connected;
  }

  shutDown(): void {
    for (const session of [...this.#all.keys()]) session.shutDown();
  }
}
