import { ProtocolError } from '../error.ts';
import { rowWidth } from '../manifest.ts';
import { type Datatype, showShape, type TensorSpec } from '../tensor.ts';
import type { EnsembleNode, PipelineNode, StepNode, SwitchNode } from './document.ts';
import { childrenOf } from './tree.ts';
import { AVERAGED, kindOf, LABELS, scalarsOf } from './values.ts';

/** What the document tells of a tensor: its specification, what combining leaves open, or nothing (a step's output). */
type Known = TensorSpec | 'average' | 'label' | null;
type Scope = ReadonlyMap<string, Known>;

interface Flow {
  readonly reads: ReadonlyMap<string, readonly string[]>;
  readonly writes: ReadonlyMap<string, readonly string[]>;
  /** Everything that there is when the root is done. */
  readonly available: Scope;
}

/** Follows tensors through a tree of nodes. Throws `ProtocolError` 'pipeline'. */
export function flowOf(
  root: string,
  nodes: ReadonlyMap<string, PipelineNode>,
  inputs: readonly TensorSpec[],
): Flow {
  const walk = new Walk(nodes);
  const given = new Map<string, Known>(inputs.map((spec) => [spec.name, spec]));
  const written = walk.visit(root, given);
  return { reads: walk.reads, writes: walk.writes, available: new Map([...given, ...written]) };
}

export function checkOutputs(outputs: readonly TensorSpec[], available: Scope): void {
  for (const { name, datatype } of outputs) {
    const known = available.get(name);
    if (known === undefined) throw invalid(`no node writes the output "${name}"`);
    if (known !== null && !canBe(known, datatype)) {
      throw invalid(`output "${name}" is ${datatype}, but what is written is ${show(known)}`);
    }
  }
}

class Walk {
  readonly reads = new Map<string, readonly string[]>();
  readonly writes = new Map<string, readonly string[]>();
  readonly #nodes: ReadonlyMap<string, PipelineNode>;

  constructor(nodes: ReadonlyMap<string, PipelineNode>) {
    this.#nodes = nodes;
  }

  /** What the node adds to the scope; `checkTree` has seen that it is there. */
  visit(name: string, scope: Scope): Scope {
    const node = this.#nodes.get(name);
    if (node === undefined) throw invalid(`there is no node "${name}"`);
    const written = this.#written(name, node, scope);
    for (const tensor of written.keys()) {
      if (scope.has(tensor)) {
        throw invalid(`node "${name}" writes "${tensor}", which is there already; rename it`);
      }
    }
    this.writes.set(name, [...written.keys()]);
    this.reads.set(name, this.#readsOf(node));
    return written;
  }

  #written(name: string, node: PipelineNode, scope: Scope): Scope {
    switch (node.kind) {
      case 'step':
        return stepOutputs(name, node, scope);
      case 'sequence':
        return this.#sequence(node.nodes, scope);
      case 'switch':
        return this.#switch(name, node, scope);
      case 'ensemble':
        return this.#ensemble(name, node, scope);
    }
  }

  #sequence(parts: readonly string[], scope: Scope): Scope {
    const all = new Map(scope);
    const written = new Map<string, Known>();
    for (const part of parts) {
      for (const [tensor, known] of this.visit(part, all)) {
        all.set(tensor, known);
        written.set(tensor, known);
      }
    }
    return written;
  }

  #switch(name: string, node: SwitchNode, scope: Scope): Scope {
    checkCases(name, node, scope);
    const [first, ...others] = childrenOf(node).map((branch) => this.visit(branch, scope));
    const shared = new Map<string, Known>();
    for (const [tensor, known] of first) {
      if (!others.every((other) => other.has(tensor))) continue;
      const ways = [known, ...others.map((other) => other.get(tensor) ?? null)];
      shared.set(tensor, agreed(name, tensor, ways));
    }
    if (shared.size === 0) {
      throw invalid(`the branches of switch "${name}" write no tensor that all of them write`);
    }
    return shared;
  }

  #ensemble(name: string, node: EnsembleNode, scope: Scope): Scope {
    const { failure, members, combine } = node;
    if (failure.policy === 'skip' && failure.quorum > members.length) {
      throw invalid(
        `ensemble "${name}" needs ${failure.quorum} answers of ${members.length} members`,
      );
    }
    const answers = members.map((member) => ({
      member,
      written: this.visit(member.node, scope),
    }));
    const combined = new Map<string, Known>();
    for (const [tensor, how] of Object.entries(combine)) {
      const wanted = how === 'vote' ? 'label' : 'average';
      for (const { member, written } of answers) {
        const known = written.get(tensor);
        if (known === undefined) {
          throw invalid(
            `ensemble "${name}" combines "${tensor}", which "${member.node}" does not write`,
          );
        }
        if (known !== null && !compatible(known, wanted)) {
          throw invalid(
            `ensemble "${name}" takes the ${how} of "${tensor}", but "${member.node}" writes ${show(known)}`,
          );
        }
        if (how === 'weighted' && member.weight === undefined) {
          throw invalid(
            `ensemble "${name}" weighs "${tensor}", but member "${member.node}" has no weight`,
          );
        }
      }
      combined.set(tensor, wanted);
    }
    return combined;
  }

  #readsOf(node: PipelineNode): string[] {
    const reads = new Set<string>();
    const written = new Set<string>();
    if (node.kind === 'step') for (const wire of node.inputs) reads.add(wire.pipeline);
    if (node.kind === 'switch' && 'tensor' in node.on) reads.add(node.on.tensor);
    for (const child of childrenOf(node)) {
      for (const tensor of this.reads.get(child) ?? []) {
        if (!written.has(tensor)) reads.add(tensor);
      }
      if (node.kind !== 'sequence') continue;
      for (const tensor of this.writes.get(child) ?? []) written.add(tensor);
    }
    return [...reads];
  }
}

function stepOutputs(name: string, node: StepNode, scope: Scope): Scope {
  for (const { pipeline } of node.inputs) requireThere(name, pipeline, scope);
  if (node.outputs.length === 0) throw invalid(`step "${name}" writes nothing`);
  const written = new Map<string, Known>();
  for (const { pipeline } of node.outputs) {
    if (written.has(pipeline)) throw invalid(`step "${name}" writes "${pipeline}" twice`);
    written.set(pipeline, null);
  }
  return written;
}

/** All values of a switch are of one kind, and of the kind of what they are compared with. */
function checkCases(name: string, node: SwitchNode, scope: Scope): void {
  const kinds = new Set(node.cases.flatMap((each) => scalarsOf(each).map((value) => typeof value)));
  if (kinds.size > 1) {
    throw invalid(`the cases of switch "${name}" mix ${[...kinds].join(' and ')}`);
  }
  if (!('tensor' in node.on)) return;
  const { tensor, index } = node.on;
  const known = requireThere(name, tensor, scope);
  if (known === null || typeof known === 'string') return;
  const kind = kindOf(known.datatype);
  if (kind === null || !kinds.has(kind)) {
    throw invalid(
      `switch "${name}" compares ${known.datatype} "${tensor}" with a ${[...kinds].join()}`,
    );
  }
  const width = rowWidth(known.shape);
  if (width !== null && index >= width) {
    throw invalid(
      `switch "${name}" looks at index ${index} of "${tensor}" ${showShape(known.shape)}, which has ${width} values in a row`,
    );
  }
}

function requireThere(node: string, tensor: string, scope: Scope): Known {
  const known = scope.get(tensor);
  if (known !== undefined) return known;
  const there = [...scope.keys()].map((each) => `"${each}"`).join(', ');
  throw invalid(`node "${node}" reads "${tensor}" before it is written; there is ${there}`);
}

function agreed(name: string, tensor: string, ways: readonly Known[]): Known {
  let said: Known = null;
  for (const known of ways) {
    if (known === null) continue;
    if (said !== null && !compatible(said, known)) {
      throw invalid(
        `the branches of switch "${name}" write "${tensor}" as ${show(said)} and as ${show(known)}`,
      );
    }
    said = known;
  }
  return ways.includes(null) ? null : said;
}

function compatible(a: Exclude<Known, null>, b: Exclude<Known, null>): boolean {
  if (typeof a === 'string') return typeof b === 'string' ? a === b : canBe(a, b.datatype);
  return canBe(b, a.datatype);
}

function canBe(known: Exclude<Known, null>, datatype: Datatype): boolean {
  if (known === 'average') return AVERAGED.has(datatype);
  if (known === 'label') return LABELS.has(datatype);
  return known.datatype === datatype;
}

function show(known: Exclude<Known, null>): string {
  if (known === 'average') return 'a mean (FP32 or FP64)';
  if (known === 'label') return 'a vote (integers, BOOL or BYTES)';
  return known.datatype;
}

function invalid(message: string): ProtocolError {
  return new ProtocolError('pipeline', message);
}
