import type { Digest } from '../../protocol/ids.ts';
import { executionKey, executionOf } from '../../protocol/serving.ts';
import type {
  ModelFiles,
  ModelToOpen,
  PlannedArm,
  PlannedDeployment,
  ServingPlan,
} from '../engine/messages.ts';

/** What engines must have open for a plan: each version once for each way in which it is executed. */
export function modelsToOpen(
  plan: Pick<ServingPlan, 'deployments'>,
  filesOf: (manifest: Digest) => ModelFiles | null,
): ModelToOpen[] {
  const models = new Map<string, ModelToOpen>();
  for (const deployment of plan.deployments) {
    const execution = executionOf(deployment.serving);
    for (const { manifest } of loadedArms(deployment)) {
      const files = filesOf(manifest);
      if (files === null) continue;
      models.set(`${manifest}\n${executionKey(execution)}`, { files, execution });
    }
  }
  return [...models.values()];
}

/** Every version a plan names, once; what stands by included. */
export function versionsIn(plan: Pick<ServingPlan, 'deployments'>): Digest[] {
  return [...new Set(plan.deployments.flatMap((d) => loadedArms(d).map((arm) => arm.manifest)))];
}

function loadedArms({ arms, standby }: PlannedDeployment): readonly PlannedArm[] {
  return standby === undefined ? arms : [...arms, standby];
}
