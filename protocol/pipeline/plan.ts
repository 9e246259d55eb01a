import { ProtocolError } from '../error.ts';
import type { TensorSpec } from '../tensor.ts';
import {
  type PipelineDocument,
  type PipelineNode,
  parsePipelineDocument,
  type StepNode,
} from './document.ts';
import { checkOutputs, flowOf } from './flow.ts';
import { checkTree } from './tree.ts';

/** A pipeline whose parts fit together, and what running it needs to know of them. */
export interface PipelinePlan {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
  readonly root: string;
  readonly nodes: ReadonlyMap<string, PipelineNode>;
  readonly steps: readonly StepNode[];
  /** What each node takes from before it, and what it leaves for those after it. */
  readonly reads: ReadonlyMap<string, readonly string[]>;
  readonly writes: ReadonlyMap<string, readonly string[]>;
  /** Rows may go different ways: every input with a free first dimension has a row for each. */
  readonly byRow: boolean;
}

/** Throws `ProtocolError` 'pipeline', naming the node and what is wrong with it. */
export function parsePipeline(bytes: Uint8Array): PipelinePlan {
  return planPipeline(parsePipelineDocument(bytes));
}

/**
 * Checks a document as far as it goes without the models that it calls: one tree of nodes, every tensor written once
 * and before it is read, datatypes where the document tells them. Throws `ProtocolError` 'pipeline'.
 */
export function planPipeline(document: PipelineDocument): PipelinePlan {
  const { inputs, outputs, root } = document;
  checkNames('input', inputs);
  checkNames('output', outputs);
  const nodes = new Map(Object.entries(document.nodes));
  checkTree(root, nodes);
  const flow = flowOf(root, nodes, inputs);
  checkOutputs(outputs, flow.available);
  const steps = [...nodes.values()].filter((node) => node.kind === 'step');
  if (steps.length === 0) throw new ProtocolError('pipeline', 'the pipeline has no step');
  const byRow = [...nodes.values()].some((node) => node.kind === 'switch' && 'tensor' in node.on);
  return { inputs, outputs, root, nodes, steps, reads: flow.reads, writes: flow.writes, byRow };
}

/** The deployments that a pipeline calls, each once, in the order of their names. */
export function deploymentsOf({ steps }: Pick<PipelinePlan, 'steps'>): string[] {
  return [...new Set(steps.map(({ deployment }) => deployment))].sort();
}

function checkNames(side: string, specs: readonly TensorSpec[]): void {
  const names = specs.map(({ name }) => name);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice !== undefined) {
    throw new ProtocolError('pipeline', `the pipeline has two ${side}s named "${twice}"`);
  }
}
