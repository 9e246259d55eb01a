import {
  EVALUATOR_SAMPLE,
  EVALUATOR_THRESHOLD,
  type EvaluatorConfig,
  type RuleEvaluator,
} from '../../../protocol/evaluator.ts';
import {
  EVALUATOR_GRID,
  type EvaluatorSketch,
  emptyEvaluator,
} from '../../../protocol/sketch/evaluator.ts';
import { addNumeric } from '../../../protocol/sketch/histogram.ts';
import type { WindowSketch } from '../../../protocol/sketch/window.ts';
import type { Tensor } from '../model/runtime.ts';
import { textsOfRow } from './answer-part.ts';
import type { EvaluationQueue } from './evaluation-queue.ts';
import { type EvaluatorHost, modelCall } from './model-evaluator.ts';
import { type Rule, ruleOf } from './rules.ts';
import { Sampler, seedOf } from './sampler.ts';

/** What of an answered request may be scored. */
export interface ScoredAnswer {
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly outputs: ReadonlyMap<string, Tensor>;
  readonly rows: number;
  /** It is itself a score of another answer. */
  readonly evaluation?: boolean;
}

interface Evaluator {
  readonly config: EvaluatorConfig;
  readonly sampler: Sampler;
  /** Null: a model is asked. */
  readonly rule: Rule | null;
}

/**
 * The evaluators of one arm. Draws answers as they are counted, and has them scored in the engine's queue; a score is
 * counted in the window that is open when it is there.
 */
export class ArmEvaluators {
  readonly #evaluators: readonly Evaluator[];
  readonly #queue: EvaluationQueue;
  readonly #host: EvaluatorHost;
  readonly #window: () => WindowSketch;
  #closed = false;

  /** @param deployment its name, for the seeds of what is drawn */
  constructor(
    deployment: string,
    configs: readonly EvaluatorConfig[],
    queue: EvaluationQueue,
    host: EvaluatorHost,
    window: () => WindowSketch,
  ) {
    this.#evaluators = configs.map((config) => ({
      config,
      sampler: new Sampler(
        config.sample ?? EVALUATOR_SAMPLE,
        seedOf(`${deployment}\n${config.name}`),
      ),
      rule: config.kind === 'rule' ? ruleOf(config) : null,
    }));
    this.#queue = queue;
    this.#host = host;
    this.#window = window;
  }

  answered(answers: readonly ScoredAnswer[]): void {
    for (const evaluator of this.#evaluators) {
      for (const answer of answers) {
        if (answer.evaluation === true) continue;
        const { sampler } = evaluator;
        let row = sampler.next(0, answer.rows);
        for (; row >= 0; row = sampler.next(row + 1, answer.rows)) {
          this.#enqueue(evaluator, answer, row);
        }
      }
    }
  }

  /** What was drawn and not scored is counted as dropped, now; what is being scored is not counted at all. */
  close(): void {
    this.#queue.dropOf(this);
    this.#closed = true;
  }

  #enqueue({ config, rule }: Evaluator, answer: ScoredAnswer, row: number): void {
    const name = config.name;
    const scoring =
      config.kind === 'rule' && rule !== null
        ? textScoring(config, rule, answer, row)
        : config.kind === 'model'
          ? modelCall(config, answer.outputs.get(config.output), row, answer.rows, this.#host)
          : null;
    if (scoring === null) {
      this.#sketch(name).failed += 1;
      return;
    }
    const count = (score: number | null) => this.#count(config, score);
    this.#queue.add({
      owner: this,
      elements: scoring.elements,
      run: () => {
        const score = scoring.score();
        if (score instanceof Promise) return score.then(count);
        count(score);
      },
      drop: () => {
        this.#sketch(name).dropped += 1;
      },
    });
  }

  #count({ name, threshold = EVALUATOR_THRESHOLD }: EvaluatorConfig, score: number | null): void {
    if (this.#closed) return;
    const sketch = this.#sketch(name);
    if (score === null) {
      sketch.failed += 1;
      return;
    }
    addNumeric(sketch.scores, EVALUATOR_GRID, score);
    if (score >= threshold) sketch.flagged += 1;
  }

  /** In the window that is open now. */
  #sketch(name: string): EvaluatorSketch {
    const { evaluators } = this.#window();
    const known = evaluators.find((one) => one.name === name);
    if (known !== undefined) return known;
    const made = emptyEvaluator(name);
    const at = evaluators.findIndex((one) => one.name > name);
    evaluators.splice(at === -1 ? evaluators.length : at, 0, made);
    return made;
  }
}

/** Null: there is no text where the evaluator looks for it. */
function textScoring(config: RuleEvaluator, rule: Rule, answer: ScoredAnswer, row: number) {
  const { inputs, outputs, rows } = answer;
  const texts = textsOfRow(outputs.get(config.output), row, rows);
  const given =
    config.rule === 'groundedness' ? textsOfRow(inputs.get(config.context), row, rows) : [];
  if (texts === null || given === null) return null;
  const text = texts.join('\n');
  const elements = given.reduce((sum, { length }) => sum + length, text.length);
  return { elements, score: () => rule(text, given) };
}
