import type { EngineHost } from '../host.ts';
import type { ArmSnapshot, EngineSnapshot } from '../snapshot.ts';
import { statisticsEntry } from './model-statistics.ts';

interface Counted {
  snapshot(): EngineSnapshot;
  readonly host: EngineHost | null;
}

/**
 * Triton's `model_stats` over all engines of the host; `deployment` and `version` null for all. Falls back to what
 * this engine alone has counted when the supervisor does not answer: a statistic is no reason to fail a request.
 */
export async function modelStatistics(
  engine: Counted,
  deployment: string | null,
  version: string | null,
) {
  const arms = await armsOfHost(engine);
  return arms
    .filter((arm) => deployment === null || arm.deployment === deployment)
    .filter((arm) => version === null || String(arm.version) === version)
    .map(statisticsEntry);
}

async function armsOfHost({ host, snapshot }: Counted): Promise<readonly ArmSnapshot[]> {
  if (host === null) return snapshot().arms;
  try {
    const answer = await host.ask({ kind: 'snapshot' });
    return answer.kind === 'snapshot' ? answer.snapshot.arms : snapshot().arms;
  } catch {
    return snapshot().arms;
  }
}
