import { z } from 'zod';
import { nameSchema } from './ids.ts';
import { MAX_STRING_ELEMENTS } from './limits.ts';

const tensorName = z.string().min(1).max(256);

/**
 * What every evaluator has. A score lies in [0,1] and 1 is the worst: `json-valid` scores 1 what is no JSON,
 * `groundedness` scores the part of the answer's words that its context does not have.
 */
const common = {
  name: nameSchema,
  /** Output tensor of the watched deployment that is scored. */
  output: tensorName,
  /** Part of the answers that is scored. Default 0.1. */
  sample: z.number().min(0).max(1).optional(),
  /** Scores from here on are flagged. Default 0.5. */
  threshold: z.number().min(0).max(1).optional(),
};

const rules = [
  z.strictObject({ kind: z.literal('rule'), rule: z.literal('json-valid'), ...common }),
  /** Answers that begin like a refusal; phrases of one's own replace the built-in English ones. */
  z.strictObject({
    kind: z.literal('rule'),
    rule: z.literal('refusal'),
    ...common,
    phrases: z.array(z.string().min(1).max(256)).min(1).max(256).optional(),
  }),
  /** Answers that hold one of these phrases, in any case: a policy, a word list. */
  z.strictObject({
    kind: z.literal('rule'),
    rule: z.literal('contains'),
    ...common,
    phrases: z.array(z.string().min(1).max(256)).min(1).max(1000),
  }),
  /** Answers of more characters than this. */
  z.strictObject({
    kind: z.literal('rule'),
    rule: z.literal('max-length'),
    ...common,
    maxLength: z.int().min(1).max(MAX_STRING_ELEMENTS),
  }),
  /** Words of the answer that the context, an input tensor, does not have. */
  z.strictObject({
    kind: z.literal('rule'),
    rule: z.literal('groundedness'),
    ...common,
    context: tensorName,
  }),
] as const;

export const ruleEvaluatorSchema = z.discriminatedUnion('rule', rules);
export type RuleEvaluator = z.infer<typeof ruleEvaluatorSchema>;

/** Another deployment on the same host scores the answer: an ONNX classifier of toxicity or policy violation. */
export const modelEvaluatorSchema = z.strictObject({
  kind: z.literal('model'),
  ...common,
  deployment: nameSchema,
  /** Input tensor of that deployment which is given the answer; default: its only one. */
  input: tensorName.optional(),
  /** Output tensor that holds the score; default: its first one. */
  score: tensorName.optional(),
  /** Which element of a row of it is the score. Default 0. */
  index: z.int().min(0).max(1_000_000).optional(),
});
export type ModelEvaluator = z.infer<typeof modelEvaluatorSchema>;

export const evaluatorSchema = z.union([ruleEvaluatorSchema, modelEvaluatorSchema]);
export type EvaluatorConfig = z.infer<typeof evaluatorSchema>;

export const EVALUATOR_SAMPLE = 0.1;
export const EVALUATOR_THRESHOLD = 0.5;
