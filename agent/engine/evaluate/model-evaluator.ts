import type { ModelEvaluator } from '../../../protocol/evaluator.ts';
import type { Manifest } from '../../../protocol/manifest.ts';
import type { TensorSpec } from '../../../protocol/tensor.ts';
import type { Tensor } from '../model/runtime.ts';
import type { AnsweredJob } from '../serve/inference.ts';
import { armFor, type ServedArm, type ServingState } from '../serve/routing.ts';
import { rowAsInput } from './answer-part.ts';
import { EvaluationJob } from './evaluation-job.ts';

export interface EvaluatorHost {
  state(): ServingState;
  answered(job: AnsweredJob): void;
}

/** A call of another deployment on this host, ready to be made. */
export interface ModelCall {
  readonly elements: number;
  /** The score, from 0 to 1; null when there is none. */
  score(): Promise<number | null>;
}

/** Null: that deployment is not served here, or does not take what the watched one answers. */
export function modelCall(
  config: ModelEvaluator,
  answer: Tensor | undefined,
  row: number,
  rows: number,
  host: EvaluatorHost,
): ModelCall | null {
  const arm = armOf(host.state(), config.deployment);
  const spec = arm === null ? null : inputOf(config, arm.asked);
  if (arm === null || spec === null) return null;
  const input = rowAsInput(answer, row, rows, spec);
  if (input === null) return null;
  const characters = Array.isArray(input.data)
    ? input.data.reduce((sum, { length }) => sum + length, 0)
    : input.data.length;
  return {
    elements: characters,
    // Asked for again when its turn has come: the version may have changed meanwhile.
    score: async () => {
      const now = armOf(host.state(), config.deployment);
      if (now === null) return null;
      const inputs = new Map([[spec.name, input]]);
      const outputs = await EvaluationJob.run(now, inputs, (job) => host.answered(job));
      return outputs === null ? null : scoreIn(outputs, config, now.asked);
    },
  };
}

/** One whose features are fetched by keys is given none here. */
function armOf(state: ServingState, name: string): ServedArm | null {
  const deployment = state.deployments.get(name);
  if (deployment === undefined || deployment.closed !== null) return null;
  if (!deployment.arms.some(({ share }) => share > 0)) return null;
  const arm = armFor(deployment, null, Math.random());
  return arm.features === null ? arm : null;
}

function inputOf({ input }: ModelEvaluator, { inputs }: Manifest): TensorSpec | null {
  const [only, ...others] = inputs;
  const fits = only !== undefined && others.length === 0 && (input ?? only.name) === only.name;
  return fits ? only : null;
}

/** The element that is named, else the score that the evaluator's own manifest names, else the first of its answer. */
function scoreIn(
  outputs: ReadonlyMap<string, Tensor>,
  config: ModelEvaluator,
  { prediction, outputs: specs }: Manifest,
): number | null {
  const named = config.score === undefined && prediction?.kind === 'score' ? prediction : null;
  const tensor = outputs.get(config.score ?? named?.tensor ?? specs[0].name);
  const score = Number(tensor?.data[config.index ?? named?.index ?? 0] ?? Number.NaN);
  // A logit is no score: cut to fit, it would look like a sure one.
  return score >= 0 && score <= 1 ? score : null;
}
