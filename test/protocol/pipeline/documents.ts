import { type PipelinePlan, parsePipeline } from '../../../protocol/pipeline/plan.ts';

type Json = Readonly<Record<string, unknown>>;

export const FEATURES = { name: 'x', datatype: 'FP32', shape: [-1, 3] };
export const SCORE = { name: 'y', datatype: 'FP32', shape: [-1, 1] };

export const step = (deployment: string, inputs: unknown = ['x'], outputs: unknown = ['y']) => ({
  kind: 'step',
  deployment,
  inputs,
  outputs,
});

/** A document of these nodes; `main` is the root, from `x` to `y` unless told otherwise. */
export function documentOf(nodes: Json, fields: Json = {}): Json {
  return { schema: 1, inputs: [FEATURES], outputs: [SCORE], root: 'main', nodes, ...fields };
}

export const bytesOf = (value: unknown) => new TextEncoder().encode(JSON.stringify(value));

export function planOf(nodes: Json, fields: Json = {}): PipelinePlan {
  return parsePipeline(bytesOf(documentOf(nodes, fields)));
}
