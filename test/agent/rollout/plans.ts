import type { PlannedArm, ServingPlan } from '../../../agent/engine/messages.ts';
import type { DesiredState } from '../../../protocol/desired.ts';
import type { Arm } from '../../../protocol/ids.ts';
import type { Serving } from '../../../protocol/serving.ts';

type ArmShape = readonly [arm: Arm, version: number, share: number];

export const digestOf = (version: number) => `sha256:${String(version).padStart(64, '0')}`;

/** A plan of deployments with their arms, all on versions whose digest is their number. */
export function plan(...deployments: readonly [name: string, ...ArmShape[]][]): ServingPlan {
  return {
    agent: `agt_${'0'.repeat(24)}`,
    generation: 1,
    deployments: deployments.map(([name, ...arms]) => ({
      ...{ name, windowMs: 1000, serving: {} },
      arms: arms.map(
        ([arm, version, share]): PlannedArm => ({
          ...{ arm, version, share },
          manifest: digestOf(version),
        }),
      ),
    })),
  };
}

/** The desired state that a plan answers. */
export function desiredFor(wanted: ServingPlan, generation: number): DesiredState {
  return {
    ...{ agent: wanted.agent, generation, issuedAt: 0, expiresAt: 1 },
    deployments: wanted.deployments.map(({ name, windowMs, serving, arms }) => ({
      ...{ name, windowMs, serving, monitoring: {} },
      arms: arms.map((arm) => ({ ...arm, model: name })),
    })),
  };
}

/** The same plan, its deployments executed as given. */
export function executed(of: ServingPlan, ...servings: readonly Serving[]): ServingPlan {
  const deployments = of.deployments.map((each, at) => ({ ...each, serving: servings[at] ?? {} }));
  return { ...of, deployments };
}
