import type { StepNode } from '../../../protocol/pipeline/document.ts';
import type { PipelinePlan } from '../../../protocol/pipeline/plan.ts';
import { messageOf } from '../../error.ts';
import { OipError } from '../serve/oip-error.ts';
import {
  armFor,
  type ServedArm,
  type ServedDeployment,
  type ServingState,
} from '../serve/routing.ts';

export interface Pinned {
  readonly deployment: ServedDeployment;
  readonly arm: ServedArm;
}

/**
 * The arms that answer the steps of one request, drawn when it comes in and held until it is done: a rollout of a
 * step in between neither fails the request nor shows it two versions. What can't be had is told only when it is
 * needed, because a switch may never go there.
 */
export class Pins {
  readonly #held = new Map<string, Pinned | OipError>();

  /** `draw` is uniform in [0, 1). */
  constructor(state: ServingState, plan: PipelinePlan, draw: () => number) {
    for (const step of plan.steps) this.#pin(state, step, draw);
    // Those of the pipelines that it calls; what these call in turn is refused, not run.
    for (const held of [...this.#held.values()]) {
      if (held instanceof OipError) continue;
      for (const step of held.arm.slot.pipeline?.steps ?? []) this.#pin(state, step, draw);
    }
  }

  /** Throws `OipError` 'not_ready', naming what is missing. */
  of(step: StepNode): Pinned {
    const held = this.#held.get(keyOf(step));
    if (held === undefined) throw new Error(`the pins hold no ${step.deployment}`);
    if (held instanceof OipError) throw held;
    return held;
  }

  release(): void {
    for (const held of this.#held.values()) {
      if (held instanceof OipError) continue;
      held.arm.inFlight.leave();
      held.arm.slot.inFlight.leave();
    }
  }

  #pin(state: ServingState, step: StepNode, draw: () => number): void {
    const key = keyOf(step);
    if (this.#held.has(key)) return;
    const found = find(state, step, draw);
    this.#held.set(key, found);
    if (found instanceof OipError) return;
    found.arm.inFlight.enter();
    found.arm.slot.inFlight.enter();
  }
}

function keyOf({ deployment, version }: StepNode): string {
  return `${deployment}\n${version ?? ''}`;
}

function find(state: ServingState, step: StepNode, draw: () => number): Pinned | OipError {
  const deployment = state.deployments.get(step.deployment);
  if (deployment === undefined) {
    return new OipError(
      'not_ready',
      `the pipeline calls "${step.deployment}", which this agent does not serve`,
    );
  }
  const version = step.version === undefined ? null : String(step.version);
  try {
    return { deployment, arm: armFor(deployment, version, draw()) };
  } catch (cause) {
    return new OipError('not_ready', `the pipeline can't go on: ${messageOf(cause)}`, { cause });
  }
}
