import type { AgentId } from '../../protocol/ids.ts';
import { RENEWALS_PER_LEASE, type Renewal } from '../../protocol/lease.ts';
import { MIN_LEASE_MS } from '../../protocol/limits.ts';
import type { SigningKey } from '../../protocol/signing.ts';
import { LEASES_SINCE } from '../../protocol/version.ts';
import type { Publisher } from '../rollout/publisher.ts';
import { sealBatch } from '../rollout/sign-batch.ts';
import type { Session } from './session.ts';
import type { Sessions } from './sessions.ts';

/** How often it is looked whether renewals are due. */
const LOOK_EVERY_MS = MIN_LEASE_MS / RENEWALS_PER_LEASE / 2;
/** Renewals of one signature. A fleet takes several, so that links are read in between. */
const TOGETHER = 1_000;

export interface LeaseDeskDeps {
  readonly key: SigningKey;
  readonly sessions: Sessions;
  readonly publisher: Publisher;
  readonly now: () => number;
  readonly onFailure: (where: string, error: unknown) => void;
}

/**
 * Tells linked hosts that their document is still the newest. It says so of the document that is in force when it is said:
 * once another is, the leases of those who have not heard of it run out.
 */
export class LeaseDesk {
  readonly #deps: LeaseDeskDeps;
  readonly #timer: NodeJS.Timeout;
  #renewedAtMs = 0;
  /** The newest time that a renewal was signed for, and when that was by a clock that can't be set. */
  #issued: { readonly atMs: number; readonly monotonicMs: number } | null = null;
  /** Null: none is going on. A fleet that takes longer than a renewal lasts is renewed as often as it can be. */
  #renewing: Promise<void> | null = null;

  constructor(deps: LeaseDeskDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** A host has linked, and been given its document. */
  async greet(agent: AgentId, session: Session): Promise<void> {
    if (this.#deps.publisher.shortestLeaseMs !== null) await this.#renew([[agent, session]]);
  }

  #look(): void {
    const { publisher, sessions, onFailure } = this.#deps;
    const leaseMs = publisher.shortestLeaseMs;
    // By a clock that can't be set: renewals must go on while the other is put right.
    const now = performance.now();
    if (leaseMs === null || this.#renewing !== null) return;
    if (now - this.#renewedAtMs < leaseMs / RENEWALS_PER_LEASE) return;
    this.#renewedAtMs = now;
    this.#renewing = this.#renewAll(sessions)
      .catch((error: unknown) => onFailure('leases', error))
      .finally(() => {
        this.#renewing = null;
      });
  }

  async #renewAll(sessions: Sessions): Promise<void> {
    const linked = [...sessions.connected()].flatMap((agent): [AgentId, Session][] => {
      const session = sessions.get(agent);
      return session === null ? [] : [[agent, session]];
    });
    for (let at = 0; at < linked.length; at += TOGETHER) {
      await this.#renew(linked.slice(at, at + TOGETHER));
    }
  }

  async #renew(linked: readonly (readonly [AgentId, Session])[]): Promise<void> {
    const { publisher, key } = this.#deps;
    const issuedAt = this.#issueAt();
    const told = linked.flatMap(([agent, session]) => {
      const { generation } = publisher.inForce(agent);
      if (generation === 0 || session.protocol < LEASES_SINCE) return [];
      return [{ session, renewal: { agent, generation, issuedAt } satisfies Renewal }];
    });
    const payloads = told.map(({ renewal }) => new TextEncoder().encode(JSON.stringify(renewal)));
    const envelopes = await sealBatch(key, 'lease', payloads);
    for (const [at, { session }] of told.entries()) {
      session.send({ kind: 'lease', envelope: envelopes[at] });
    }
  }

  /**
   * Never back while this runs: hosts take no renewal that is older than their last one, so that a clock which is set back
   * by an hour would stop a linked fleet for an hour. What the monotonic clock gains on the other one adds up over weeks,
   * as does what a host's uptime gains on both; the next welcome puts a host right.
   */
  #issueAt(): number {
    const monotonicMs = performance.now();
    const last = this.#issued;
    const least = last === null ? 0 : last.atMs + (monotonicMs - last.monotonicMs);
    const atMs = Math.max(this.#deps.now(), least);
    this.#issued = { atMs, monotonicMs };
    return Math.floor(atMs);
  }

  async close(): Promise<void> {
    clearInterval(this.#timer);
    await this.#renewing;
  }
}
