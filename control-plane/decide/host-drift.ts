import type { AgentId, Digest } from '../../protocol/ids.ts';

/** What a detector on a host found in the errors that labels showed it. */
export interface HostDrift {
  readonly agent: AgentId;
  readonly deployment: string;
  readonly manifest: Digest;
  readonly detector: string;
  readonly said: string;
}

/**
 * Null unless it is about the stable arm and found by another detector than the e-detector: that one is run over the
 * labels of all hosts here, with the deployment's false-alarm budget, and the host's own is no news.
 */
export function parseHostDrift(agent: AgentId, said: string): HostDrift | null {
  const fields = new Map(
    [...said.matchAll(/(?:^|\s)(\w+)=(\S+)/g)].map(([, name, value]) => [name, value]),
  );
  const deployment = fields.get('deployment');
  const manifest = fields.get('manifest');
  const detector = fields.get('detector');
  if (deployment === undefined || manifest === undefined || detector === undefined) return null;
  if (fields.get('arm') !== 'stable' || detector === 'e-detector') return null;
  return { agent, deployment, manifest, detector, said };
}
