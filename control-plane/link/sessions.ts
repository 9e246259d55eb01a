import type { AgentId } from '../../protocol/ids.ts';
import type { Session } from './session.ts';

/** Who is linked now: one session per agent, and those that have not said hello yet. */
export class Sessions {
  readonly #joined = new Map<AgentId, Session>();
  /** Null until its hello was accepted. */
  readonly #all = new Map<Session, AgentId | null>();

  open(session: Session): void {
    this.#all.set(session, null);
  }

  /** The newest link wins: the older one is half dead more often than it is a twin. */
  join(agent: AgentId, session: Session): void {
    const older = this.#joined.get(agent);
    this.#joined.set(agent, session);
    this.#all.set(session, agent);
    if (older !== session) older?.replace();
  }

  close(session: Session): void {
    const agent = this.#all.get(session) ?? null;
    this.#all.delete(session);
    if (agent !== null && this.#joined.get(agent) === session) this.#joined.delete(agent);
  }

  get(agent: AgentId): Session | null {
    return this.#joined.get(agent) ?? null;
  }

  connected(): ReadonlySet<AgentId> {
    return new Set(this.#joined.keys());
  }

  shutDown(): void {
    for (const session of [...this.#all.keys()]) session.shutDown();
  }
}
