import type { Arm } from '../../../protocol/ids.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import type { ArmEvaluators } from '../evaluate/arm-evaluators.ts';
import type { FeatureStep } from '../features/feature-step.ts';
import type { InFlight } from '../in-flight.ts';
import type { UnloadedArm } from '../messages.ts';
import type { JobQueue } from '../model/job-queue.ts';
import type { Slot } from '../model/slot.ts';
import type { ArmGuard } from '../observe/arm-guard.ts';
import type { ArmCost } from '../observe/cost.ts';
import type { Recorder } from '../observe/recorder.ts';
import type { Closing } from '../restraints.ts';
import type { OpenWindow } from '../window-clock.ts';
import type { ModelStatistics } from './model-statistics.ts';
import { OipError } from './oip-error.ts';

export interface ServedArm {
  readonly arm: Arm;
  readonly version: number;
  readonly share: number;
  readonly slot: Slot;
  readonly recorder: Recorder;
  readonly batcher: JobQueue;
  readonly statistics: ModelStatistics;
  /** Requests that this arm still owes an answer. */
  readonly inFlight: InFlight;
  /** The input whose first dimension counts rows; null where a request is always one row. */
  readonly rowTensor: string | null;
  /** The version as its clients see it: what they give may not be what its model takes. */
  readonly asked: Manifest;
  /** What is fetched between a request and the model; null: nothing. */
  readonly features: FeatureStep | null;
  /** What scores a share of its answers; null: nothing does. */
  readonly evaluators: ArmEvaluators | null;
  readonly cost: ArmCost;
  /** What takes it back when it passes a threshold; null: nothing does. */
  readonly guard: ArmGuard | null;
  /** Names this use of the version: `tripKey`. */
  readonly key: string;
}

export interface ServedDeployment {
  readonly name: string;
  readonly windowMs: number;
  readonly window: OpenWindow;
  /** Deadline of requests that state none, in microseconds from their first byte. */
  readonly timeoutUs: number | null;
  readonly arms: readonly ServedArm[];
  /** Versions that a client of this host has unloaded. */
  readonly unloaded: readonly UnloadedArm[];
  /** What takes the stable arm's place should a guard take that back: loaded, and without traffic. */
  readonly standby: ServedArm | null;
  readonly withoutLastGood: 'serve' | 'refuse';
  /** Why nobody answers; null: its arms do. */
  readonly closed: Closing | null;
}

/** What the engine serves now. Replaced as a whole, never changed: a request sees one state from start to end. */
export interface ServingState {
  readonly generation: number;
  readonly deployments: ReadonlyMap<string, ServedDeployment>;
}

export function deploymentOf(state: ServingState, name: string): ServedDeployment {
  const deployment = state.deployments.get(name);
  if (deployment === undefined) {
    const known = [...state.deployments.keys()].join(', ') || 'none';
    throw new OipError(
      'unknown_model',
      `unknown model "${name.slice(0, 128)}"; this agent serves: ${known}`,
    );
  }
  return deployment;
}

/** The arm that answers: the pinned version's, or one drawn by share. `draw` is uniform in [0, 1). */
export function armFor(
  deployment: ServedDeployment,
  version: string | null,
  draw: number,
): ServedArm {
  const { closed } = deployment;
  if (closed !== null) throw new OipError(closed.code, closed.message);
  if (version !== null) {
    const pinned = deployment.arms.find((arm) => String(arm.version) === version);
    if (deployment.unloaded.some((arm) => String(arm.version) === version)) {
      throw new OipError(
        'not_ready',
        `version ${version} of model "${deployment.name}" was unloaded by a client`,
      );
    }
    if (pinned === undefined) {
      const known = deployment.arms.map((arm) => arm.version).join(', ');
      throw new OipError(
        'unknown_version',
        `model "${deployment.name}" has no version "${version.slice(0, 128)}" on this agent; it has ${known}`,
      );
    }
    return pinned;
  }
  let left = draw;
  for (const arm of deployment.arms) {
    left -= arm.share;
    if (left < 0) return arm;
  }
  // Shares add up to 1 only within rounding; the last arm with traffic takes what is left.
  const last = deployment.arms.findLast((arm) => arm.share > 0);
  if (last === undefined)
    throw new OipError('not_ready', `model "${deployment.name}" has no traffic`);
  return last;
}
