import type { Arm } from '../../protocol/ids.ts';
import { rowTensorOf } from '../../protocol/profile.ts';
import type { FeatureSteps } from './features/feature-steps.ts';
import { InFlight } from './in-flight.ts';
import { type ComputeJournal, journaled } from './journal.ts';
import type { PlannedArm, PlannedDeployment } from './messages.ts';
import { Batcher, type BatcherOptions } from './model/batcher.ts';
import { batcherOptions } from './model/batching-policy.ts';
import type { JobQueue } from './model/job-queue.ts';
import type { Slot } from './model/slot.ts';
import { Recorder } from './observe/recorder.ts';
import { type PipelineHost, PipelineRunner } from './pipeline/pipeline-runner.ts';
import { ModelStatistics } from './serve/model-statistics.ts';
import type { ServedArm } from './serve/routing.ts';

interface LiveArm {
  readonly deployment: string;
  readonly windowMs: number;
  readonly slot: Slot;
  readonly options: BatcherOptions;
  readonly served: Omit<ServedArm, 'version' | 'share'>;
}

/** An arm that left the plan; its last window is cut when it owes no answer any more. */
export interface RetiredArm {
  readonly recorder: Recorder;
  readonly windowMs: number;
  readonly inFlight: InFlight;
}

/** What outlives a switch of plans: counters, queues and sketches of each (deployment, version, arm). */
export class LiveArms {
  #arms = new Map<string, LiveArm>();

  readonly #journal: Pick<ComputeJournal, 'computing'> | null;
  readonly #host: PipelineHost;
  readonly #features: FeatureSteps;

  constructor(
    journal: Pick<ComputeJournal, 'computing'> | null,
    host: PipelineHost,
    features: FeatureSteps,
  ) {
    this.#journal = journal;
    this.#host = host;
    this.#features = features;
  }

  /** The arms of a plan, built on what was there, and those that are gone. */
  switchTo(
    deployments: readonly PlannedDeployment[],
    slotOf: (deployment: PlannedDeployment, arm: PlannedArm) => Slot,
  ): { served: Map<string, ServedArm[]>; retired: RetiredArm[] } {
    const next = new Map<string, LiveArm>();
    const served = new Map<string, ServedArm[]>();
    for (const deployment of deployments) {
      const arms = deployment.arms.map((planned) => {
        const key = `${deployment.name}\n${planned.manifest}\n${planned.arm}`;
        const live = this.#live(key, deployment, planned.arm, slotOf(deployment, planned));
        next.set(key, live);
        return { ...live.served, version: planned.version, share: planned.share };
      });
      served.set(deployment.name, arms);
    }
    const retired = [...this.#arms].flatMap(([key, { windowMs, served: arm }]) =>
      next.has(key) ? [] : [{ recorder: arm.recorder, inFlight: arm.inFlight, windowMs }],
    );
    this.#arms = next;
    this.#features.keepOnly(
      new Set(deployments.filter(({ serving }) => serving.features).map(({ name }) => name)),
    );
    return { served, retired };
  }

  #live(key: string, deployment: PlannedDeployment, arm: Arm, slot: Slot): LiveArm {
    const { name, windowMs, serving } = deployment;
    const options = batcherOptions(serving.batching ?? {}, slot);
    const features =
      serving.features === undefined
        ? null
        : this.#features.of(name, serving.features, slot.manifest);
    const asked = features?.asked ?? slot.manifest;
    const known = this.#arms.get(key);
    if (known === undefined) {
      const { manifestDigest, manifest, grids } = slot;
      const served = {
        arm,
        slot,
        recorder: new Recorder(name, manifestDigest, arm, manifest, grids),
        batcher: this.#queue(name, slot, options),
        statistics: new ModelStatistics(),
        inFlight: new InFlight(),
        rowTensor: rowTensorOf(manifest),
        asked,
        features,
      };
      return { deployment: name, windowMs, slot, options, served };
    }
    const same = known.slot === slot && known.served.features === features;
    if (same && sameOptions(known.options, options)) return { ...known, windowMs };
    // What waits in the old queue is still answered by the session it was admitted to.
    const batcher = this.#queue(name, slot, options);
    const served = { ...known.served, slot, batcher, asked, features };
    return { deployment: name, windowMs, slot, options, served };
  }

  #queue(deployment: string, slot: Slot, options: BatcherOptions): JobQueue {
    const { session, manifestDigest, pipeline } = slot;
    if (pipeline !== null) return new PipelineRunner(deployment, pipeline, this.#host, options);
    const journal = this.#journal;
    return new Batcher(
      journal === null ? session : journaled(session, manifestDigest, journal),
      options,
    );
  }
}

function sameOptions(a: BatcherOptions, b: BatcherOptions): boolean {
  return (
    a.maxBatchSize === b.maxBatchSize &&
    a.maxQueueDelayUs === b.maxQueueDelayUs &&
    a.maxQueueRequests === b.maxQueueRequests
  );
}
