import { z } from 'zod';
import { ProtocolError } from '../error.ts';
import { nameSchema, versionNumberSchema } from '../ids.ts';
import { MAX_PIPELINE_BYTES, MAX_PIPELINE_NODES, MAX_TENSORS } from '../limits.ts';
import { tensorSpecSchema } from '../tensor.ts';
import { describe } from '../wire.ts';

const tensorNameSchema = z.string().min(1).max(256);

/** Names of a model's tensors and the pipeline's names for them; a list where both are the same. */
const wiringSchema = z
  .union([z.array(tensorNameSchema).max(MAX_TENSORS), z.record(tensorNameSchema, tensorNameSchema)])
  .transform((wiring): readonly Wire[] =>
    Array.isArray(wiring)
      ? wiring.map((name) => ({ model: name, pipeline: name }))
      : Object.entries(wiring).map(([model, pipeline]) => ({ model, pipeline })),
  )
  .refine((wires) => wires.length <= MAX_TENSORS, { message: `at most ${MAX_TENSORS} tensors` })
  .refine((wires) => new Set(wires.map(({ model }) => model)).size === wires.length, {
    message: 'a tensor of the model is named twice',
  });
export interface Wire {
  readonly model: string;
  readonly pipeline: string;
}

/** One call of another deployment of the same agent. */
const stepSchema = z.strictObject({
  kind: z.literal('step'),
  deployment: nameSchema,
  /** Pins a version that the agent holds; default: whichever arm the deployment's traffic goes to. */
  version: versionNumberSchema.optional(),
  inputs: wiringSchema,
  outputs: wiringSchema,
});
export type StepNode = z.infer<typeof stepSchema>;

const sequenceSchema = z.strictObject({
  kind: z.literal('sequence'),
  nodes: z.array(nameSchema).min(1).max(MAX_PIPELINE_NODES),
});

const scalarSchema = z.union([z.number(), z.string().max(1024), z.boolean()]);
export type Scalar = z.infer<typeof scalarSchema>;

const caseSchema = z.union([
  z.strictObject({ op: z.enum(['==', '!=']), value: scalarSchema, node: nameSchema }),
  z.strictObject({ op: z.enum(['<', '<=', '>', '>=']), value: z.number(), node: nameSchema }),
  z.strictObject({
    op: z.literal('in'),
    values: z.array(scalarSchema).min(1).max(1024),
    node: nameSchema,
  }),
]);
export type SwitchCase = z.infer<typeof caseSchema>;

/** A column of a tensor decides row by row, a parameter of the request for all of it. The first case that holds. */
const switchSchema = z.strictObject({
  kind: z.literal('switch'),
  on: z.union([
    z.strictObject({ tensor: tensorNameSchema, index: z.int().min(0).default(0) }),
    z.strictObject({ parameter: z.string().min(1).max(256) }),
  ]),
  cases: z.array(caseSchema).min(1).max(MAX_PIPELINE_NODES),
  /** Where no case holds; without it such a request is refused. */
  default: nameSchema.optional(),
});
export type SwitchNode = z.infer<typeof switchSchema>;

/** `mean`: each member alike. `weighted`: by `weight`. `vote`: the label most members give, element by element. */
export const combineSchema = z.enum(['mean', 'weighted', 'vote']);
export type Combine = z.infer<typeof combineSchema>;

const ensembleSchema = z.strictObject({
  kind: z.literal('ensemble'),
  members: z
    .array(z.strictObject({ node: nameSchema, weight: z.number().gt(0).max(1e6).optional() }))
    .min(2)
    .max(MAX_PIPELINE_NODES),
  /** Tensors that every member writes, and how one is made of them. */
  combine: z
    .record(tensorNameSchema, combineSchema)
    .refine((combine) => Object.keys(combine).length > 0, { message: 'nothing is combined' }),
  /** `skip`: members that fail are left out, as long as `quorum` of them answer. */
  failure: z
    .discriminatedUnion('policy', [
      z.strictObject({ policy: z.literal('fail') }),
      z.strictObject({ policy: z.literal('skip'), quorum: z.int().min(1) }),
    ])
    .default({ policy: 'fail' }),
});
export type EnsembleNode = z.infer<typeof ensembleSchema>;

const nodeSchema = z.discriminatedUnion('kind', [
  stepSchema,
  sequenceSchema,
  switchSchema,
  ensembleSchema,
]);
export type PipelineNode = z.infer<typeof nodeSchema>;

const pipelineSchema = z.strictObject({
  schema: z.literal(1),
  inputs: z.array(tensorSpecSchema).min(1).max(MAX_TENSORS),
  outputs: z.array(tensorSpecSchema).min(1).max(MAX_TENSORS),
  root: nameSchema,
  nodes: z
    .record(nameSchema, nodeSchema)
    .refine((nodes) => Object.keys(nodes).length <= MAX_PIPELINE_NODES, {
      message: `at most ${MAX_PIPELINE_NODES} nodes`,
    }),
});
/** The graph file of a pipeline. That its parts fit together is checked by `planPipeline`. */
export type PipelineDocument = z.infer<typeof pipelineSchema>;

/** Throws `ProtocolError` 'pipeline' for what is no pipeline document. */
export function parsePipelineDocument(bytes: Uint8Array): PipelineDocument {
  if (bytes.length > MAX_PIPELINE_BYTES) {
    throw new ProtocolError(
      'pipeline',
      `the pipeline has ${bytes.length} bytes, at most ${MAX_PIPELINE_BYTES}`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new ProtocolError('pipeline', `the pipeline's ${bytes.length} bytes are not JSON`, {
      cause,
    });
  }
  const parsed = pipelineSchema.safeParse(value);
  if (!parsed.success) {
    throw new ProtocolError('pipeline', `the pipeline is invalid: ${describe(parsed.error)}`);
  }
  return parsed.data;
}
