import { type ConceptDrift, parseConceptDrift } from '../../protocol/concept-drift.ts';
import type { AgentId } from '../../protocol/ids.ts';

/** What a detector on a host found in the errors that labels showed it. */
export interface HostDrift extends ConceptDrift {
  readonly agent: AgentId;
  readonly said: string;
}

/**
 * Null unless it is about the stable arm and found by another detector than the e-detector: that one is run over the
 * labels of all hosts here, with the deployment's false-alarm budget, and the host's own is no news.
 */
export function parseHostDrift(agent: AgentId, said: string): HostDrift | null {
  const found = parseConceptDrift(said);
  if (found === null || found.arm !== 'stable' || found.detector === 'e-detector') return null;
  return { agent, ...found, said };
}
