import { isGuarded } from '../../protocol/guard.ts';
import { rowTensorOf } from '../../protocol/profile.ts';
import type { Breach } from '../../protocol/trip.ts';
import { ArmEvaluators } from './evaluate/arm-evaluators.ts';
import type { EvaluationQueue } from './evaluate/evaluation-queue.ts';
import type { EvaluatorHost } from './evaluate/model-evaluator.ts';
import type { FeatureSteps } from './features/feature-steps.ts';
import { InFlight } from './in-flight.ts';
import { type ComputeJournal, journaled } from './journal.ts';
import type { PlannedArm, PlannedDeployment } from './messages.ts';
import { Batcher, type BatcherOptions } from './model/batcher.ts';
import { batcherOptions } from './model/batching-policy.ts';
import type { JobQueue } from './model/job-queue.ts';
import type { Slot } from './model/slot.ts';
import { ArmGuard } from './observe/arm-guard.ts';
import type { ArmCost, CostMeter } from './observe/cost.ts';
import { Recorder } from './observe/recorder.ts';
import { type PipelineHost, PipelineRunner } from './pipeline/pipeline-runner.ts';
import { tripKey } from './restraints.ts';
import { ModelStatistics } from './serve/model-statistics.ts';
import type { ServedArm } from './serve/routing.ts';

interface LiveArm {
  readonly deployment: string;
  readonly windowMs: number;
  readonly slot: Slot;
  readonly options: BatcherOptions;
  /** What its evaluators were made from. */
  readonly evaluators: string;
  /** What its guard was made from. */
  readonly guard: string;
  readonly served: Omit<ServedArm, 'version' | 'share'>;
}

/** An arm that left the plan; its last window is cut when it owes no answer any more. */
export interface RetiredArm {
  readonly recorder: Recorder;
  readonly windowMs: number;
  readonly inFlight: InFlight;
  readonly evaluators: ArmEvaluators | null;
  readonly cost: ArmCost;
}

/** What arms are observed with beside their recorders; one of each for an engine. */
export interface ArmObservers {
  readonly queue: EvaluationQueue;
  readonly meter: CostMeter;
  readonly host: EvaluatorHost;
  /** An arm has passed a threshold of its guard. */
  breached(deployment: string, arm: PlannedArm, breach: Breach, decision: string | null): void;
}

/** The arms of a deployment, and what takes the stable one's place should its guard take it back. */
export interface LiveDeployment {
  readonly arms: readonly ServedArm[];
  readonly standby: ServedArm | null;
}

/** What outlives a switch of plans: counters, queues and sketches of each (deployment, version, arm). */
export class LiveArms {
  #arms = new Map<string, LiveArm>();

  readonly #journal: Pick<ComputeJournal, 'computing'> | null;
  readonly #host: PipelineHost;
  readonly #features: FeatureSteps;
  readonly #observers: ArmObservers;

  constructor(
    journal: Pick<ComputeJournal, 'computing'> | null,
    host: PipelineHost,
    features: FeatureSteps,
    observers: ArmObservers,
  ) {
    this.#journal = journal;
    this.#host = host;
    this.#features = features;
    this.#observers = observers;
  }

  /** The arms of a plan, built on what was there, and those that are gone. */
  switchTo(
    deployments: readonly PlannedDeployment[],
    slotOf: (deployment: PlannedDeployment, arm: PlannedArm) => Slot,
  ): { served: Map<string, LiveDeployment>; retired: RetiredArm[] } {
    const next = new Map<string, LiveArm>();
    const served = new Map<string, LiveDeployment>();
    for (const deployment of deployments) {
      const take = (planned: PlannedArm): ServedArm => {
        const key = `${deployment.name}\n${planned.manifest}\n${planned.arm}`;
        const live = this.#live(key, deployment, planned, slotOf(deployment, planned));
        next.set(key, live);
        return { ...live.served, version: planned.version, share: planned.share };
      };
      const { standby } = deployment;
      const arms = deployment.arms.map(take);
      served.set(deployment.name, { arms, standby: standby === undefined ? null : take(standby) });
    }
    const retired = [...this.#arms].flatMap(([key, { windowMs, served: arm }]) =>
      next.has(key) ? [] : [{ ...arm, windowMs }],
    );
    this.#arms = next;
    this.#features.keepOnly(
      new Set(deployments.filter(({ serving }) => serving.features).map(({ name }) => name)),
    );
    return { served, retired };
  }

  #live(key: string, deployment: PlannedDeployment, arm: PlannedArm, slot: Slot): LiveArm {
    const live = this.#guarded(this.#serving(key, deployment, arm, slot), deployment, arm);
    const { evaluators: wanted = [], tensorSample = null } = deployment.monitoring ?? {};
    live.served.recorder.tensorShare = tensorSample;
    const text = JSON.stringify(wanted);
    if (text === live.evaluators) return live;
    live.served.evaluators?.close();
    const { queue, host } = this.#observers;
    const window = () => live.served.recorder.current;
    const evaluators =
      wanted.length === 0 ? null : new ArmEvaluators(deployment.name, wanted, queue, host, window);
    return { ...live, evaluators: text, served: { ...live.served, evaluators } };
  }

  /** Its answers are looked back at over a switch of plans, as long as the guard and the decision are the same. */
  #guarded(live: LiveArm, { name, guard }: PlannedDeployment, arm: PlannedArm): LiveArm {
    const key = tripKey(name, arm);
    const text = isGuarded(guard) ? JSON.stringify([guard, key]) : '';
    if (text === live.guard) return live;
    const made = isGuarded(guard)
      ? new ArmGuard(guard, live.slot.predicted, (breach, decision) =>
          this.#observers.breached(name, arm, breach, decision),
        )
      : null;
    return { ...live, guard: text, served: { ...live.served, guard: made, key } };
  }

  #serving(key: string, deployment: PlannedDeployment, { arm }: PlannedArm, slot: Slot): LiveArm {
    const { name, windowMs, serving } = deployment;
    const options = batcherOptions(serving.batching ?? {}, slot);
    const features =
      serving.features === undefined
        ? null
        : this.#features.of(name, serving.features, slot.manifest);
    const asked = features?.asked ?? slot.manifest;
    const known = this.#arms.get(key);
    if (known === undefined) {
      const { manifestDigest, manifest, grids, watched } = slot;
      const recorder = new Recorder(name, manifestDigest, arm, manifest, grids, watched);
      const served = {
        arm,
        slot,
        recorder,
        batcher: this.#queue(name, slot, options),
        statistics: new ModelStatistics(),
        inFlight: new InFlight(),
        rowTensor: rowTensorOf(manifest),
        asked,
        features,
        evaluators: null,
        cost: this.#observers.meter.arm(() => recorder.current.cost),
        guard: null,
        key: tripKey(name, { manifest: manifestDigest }),
      };
      return { deployment: name, windowMs, slot, options, evaluators: '[]', guard: '', served };
    }
    const same = known.slot === slot && known.served.features === features;
    if (same && sameOptions(known.options, options)) return { ...known, windowMs };
    // What waits in the old queue is still answered by the session it was admitted to.
    const batcher = this.#queue(name, slot, options);
    const served = { ...known.served, slot, batcher, asked, features };
    return { ...known, windowMs, slot, options, served };
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
