import type { AgentId } from '../../protocol/ids.ts';

/** How many of something a host may bring in each period. */
export class PerHostRate {
  readonly #most: number;
  readonly #periodMs: number;
  readonly #counts = new Map<AgentId, { period: number; count: number }>();

  constructor(most: number, periodMs: number) {
    this.#most = most;
    this.#periodMs = periodMs;
  }

  /** Whether one more is within the bound; counts it. */
  allows(agent: AgentId, now: number): boolean {
    const period = Math.floor(now / this.#periodMs);
    const last = this.#counts.get(agent);
    const count = last?.period === period ? last.count + 1 : 1;
    this.#counts.set(agent, { period, count });
    return count <= this.#most;
  }
}
