import { MAX_PIPELINE_LEVELS } from '../../../protocol/limits.ts';
import type { StepNode } from '../../../protocol/pipeline/document.ts';
import type { PipelinePlan } from '../../../protocol/pipeline/plan.ts';
import { messageOf } from '../../error.ts';
import type { AssembledInputs } from '../features/assemble.ts';
import type { BatchJob } from '../model/batch-job.ts';
import { closed, Overload, refuse, throwLater } from '../model/batch-refusal.ts';
import type { JobQueue } from '../model/job-queue.ts';
import type { Tensor } from '../model/runtime.ts';
import { OipError } from '../serve/oip-error.ts';
import type { ServedArm, ServingState } from '../serve/routing.ts';
import { Execution } from './execute.ts';
import { type Pinned, Pins } from './pins.ts';
import { pipelineOutputs, stepInputs, valuesOf } from './step-inputs.ts';
import { type PipelineCall, type StepHost, StepJob } from './step-job.ts';
import type { Scope } from './value.ts';

export interface PipelineHost extends StepHost {
  state(): ServingState;
}

/**
 * Runs the requests of one arm of a pipeline, in place of a session's queue. It has no queue itself: requests wait in
 * those of its steps, and no more than the deployment's bound are under way at once.
 */
export class PipelineRunner implements JobQueue {
  readonly queued = 0;
  readonly #name: string;
  readonly #plan: PipelinePlan;
  readonly #host: PipelineHost;
  readonly #bound: number;
  readonly #overload: Overload;
  #running = 0;
  #closed = false;

  constructor(
    deployment: string,
    plan: PipelinePlan,
    host: PipelineHost,
    options: { readonly maxQueueRequests: number },
  ) {
    this.#name = deployment;
    this.#plan = plan;
    this.#host = host;
    this.#bound = options.maxQueueRequests;
    this.#overload = new Overload(options.maxQueueRequests);
  }

  get running(): number {
    return this.#running;
  }

  submit(job: BatchJob): void {
    if (this.#closed) refuse(job, closed());
    else if (this.#running >= this.#bound) refuse(job, this.#overload.error(0));
    else {
      this.#running += 1;
      void this.#run(job).catch(throwLater);
    }
  }

  close(): void {
    this.#closed = true;
  }

  async #run(job: BatchJob): Promise<void> {
    const startedMs = performance.now();
    const within = job.within ?? null;
    const pins = within?.pins ?? new Pins(this.#host.state(), this.#plan, Math.random);
    const call = { chain: [...(within?.chain ?? []), this.#name], pins };
    const steps = new Steps(job, call, this.#host, () => {
      if (within === null) pins.release();
    });
    const execution = new Execution(this.#plan, job.parameters ?? null, steps.call);
    const outcome = await execution
      .run(valuesOf(this.#plan.inputs, job.inputs))
      .then((written) => pipelineOutputs(this.#plan.outputs, written))
      .then(
        (outputs) => ({ outputs }),
        (error: unknown) => ({ error }),
      );
    this.#running -= 1;
    const endedMs = performance.now();
    try {
      if ('error' in outcome) job.failed(outcome.error);
      else {
        const times = { startedMs, endedMs, batchRows: job.rows, first: true };
        job.done(outcome.outputs, times);
      }
    } finally {
      steps.end();
    }
  }
}

/** The steps of one request that are under way. Its arms are held until the last has come back, wanted or not. */
class Steps {
  readonly #job: BatchJob;
  readonly #pipeline: PipelineCall;
  readonly #host: StepHost;
  readonly #release: () => void;
  #open = 1;
  #over = false;

  constructor(job: BatchJob, pipeline: PipelineCall, host: StepHost, release: () => void) {
    this.#job = job;
    this.#pipeline = pipeline;
    this.#host = host;
    this.#release = release;
  }

  /** The pipeline has been answered; what still waits is dropped. */
  end(): void {
    this.#over = true;
    this.#leave();
  }

  readonly call = async (step: StepNode, given: Scope): Promise<Scope> => {
    // Another member has failed meanwhile, and with it the pipeline.
    if (this.#over) throw new OipError('deadline_exceeded', 'the pipeline has been answered');
    const pinned = this.#pipeline.pins.of(step);
    checkLevels(this.#pipeline.chain, step, pinned);
    const { deployment, arm } = pinned;
    const { inputs, outputs } = arm.asked;
    const named = `"${deployment.name}" (version ${arm.version})`;
    const tensors = stepInputs(named, inputs, given);
    this.#open += 1;
    try {
      const request = { job: this.#job, call: this.#pipeline, over: () => this.#over };
      const ready = await fetched(named, arm, tensors, this.#job);
      return valuesOf(outputs, await StepJob.run(request, pinned, this.#host, ready));
    } finally {
      this.#leave();
    }
  };

  #leave(): void {
    this.#open -= 1;
    if (this.#open === 0) this.#release();
  }
}

/** A step whose deployment fetches features gets its keys from the pipeline. */
async function fetched(
  named: string,
  arm: ServedArm,
  inputs: ReadonlyMap<string, Tensor>,
  { deadlineMs }: BatchJob,
): Promise<Pick<AssembledInputs, 'inputs' | 'gaps'>> {
  if (arm.features === null) return { inputs, gaps: null };
  const startedMs = performance.now();
  try {
    return await arm.features.inputs(inputs, { deadlineMs, headers: null });
  } catch (cause) {
    const code = cause instanceof OipError ? cause.code : 'model_failed';
    const refusal = new OipError(code, `step ${named}: ${messageOf(cause)}`, { cause });
    if (refusal.status !== 400) {
      arm.recorder.failed();
      arm.statistics.failed(code, performance.now() - startedMs);
    }
    throw refusal;
  }
}

/** Throws `OipError` 'model_failed' for a pipeline that leads to itself, or too deep. */
function checkLevels(chain: readonly string[], step: StepNode, { arm }: Pinned): void {
  if (arm.slot.pipeline === null) return;
  const way = [...chain, step.deployment];
  if (chain.includes(step.deployment)) {
    throw new OipError('model_failed', `the pipeline calls itself: ${way.join(' → ')}`);
  }
  if (way.length > MAX_PIPELINE_LEVELS) {
    throw new OipError(
      'model_failed',
      `pipelines call each other deeper than ${MAX_PIPELINE_LEVELS} levels: ${way.join(' → ')}`,
    );
  }
}
