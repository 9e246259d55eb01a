import { createHash } from 'node:crypto';
import type { AgentId, Labels } from '../../protocol/ids.ts';
import { matchesLabels } from '../residency/residency.ts';

/** Whom a rollout asks to be its canary. */
export type CohortRule =
  | { readonly kind: 'count'; readonly agents: number }
  | { readonly kind: 'labels'; readonly labels: Labels };

/** What a cohort needs to know of a host. */
export interface CohortAgent {
  readonly id: AgentId;
  readonly labels: Labels;
  readonly enrolledAtMs: number;
  readonly connected: boolean;
}

/**
 * Who the canary is, decided once at the start, so that it never changes while the rollout runs:
 * hosts that were known then are in it when they are listed, hosts that enrol later when the rule
 * takes them. `threshold` is the largest hash among the chosen, so that a late host joins with the
 * chance that an early one had.
 */
export interface Cohort {
  readonly rule: CohortRule;
  readonly decidedAtMs: number;
  readonly members: AgentId[];
  /** -1 when nobody was chosen: then nobody joins late either, and the gate says "empty". */
  readonly threshold: number;
}

/** 48 bits of SHA-256: exact in a float64, and another order of hosts in each rollout. */
export function cohortHash(rollout: string, agent: AgentId): number {
  return createHash('sha256').update(`${rollout}\n${agent}`).digest().readUIntBE(0, 6);
}

/**
 * Chooses the canary among the hosts a deployment goes to. A count takes connected hosts, because
 * an offline canary shows nothing; labels take all that match.
 */
export function decideCohort(
  rollout: string,
  rule: CohortRule,
  targets: readonly CohortAgent[],
  now: number,
): Cohort {
  const chosen =
    rule.kind === 'labels'
      ? targets.filter((agent) => matchesLabels(agent.labels, rule.labels))
      : targets
          .filter((agent) => agent.connected)
          .sort((a, b) => cohortHash(rollout, a.id) - cohortHash(rollout, b.id))
          .slice(0, rule.agents);
  const members = chosen.map((agent) => agent.id);
  const threshold = Math.max(-1, ...members.map((id) => cohortHash(rollout, id)));
  return { rule, decidedAtMs: now, members, threshold };
}

/** Whether a host is in the canary of `rollout`. */
export function inCohort(rollout: string, cohort: Cohort, agent: Omit<CohortAgent, 'connected'>) {
  if (agent.enrolledAtMs <= cohort.decidedAtMs) return cohort.members.includes(agent.id);
  if (cohort.rule.kind === 'labels') return matchesLabels(agent.labels, cohort.rule.labels);
  return cohortHash(rollout, agent.id) <= cohort.threshold;
}
