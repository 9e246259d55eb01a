import { ProtocolError } from '../error.ts';
import { MAX_PIPELINE_DEPTH } from '../limits.ts';
import type { PipelineNode } from './document.ts';

type Nodes = ReadonlyMap<string, PipelineNode>;

/** The nodes that a node names, in order. */
export function childrenOf(node: PipelineNode): readonly string[] {
  switch (node.kind) {
    case 'step':
      return [];
    case 'sequence':
      return node.nodes;
    case 'switch': {
      const branches = node.cases.map((each) => each.node);
      return node.default === undefined ? branches : [...branches, node.default];
    }
    case 'ensemble':
      return node.members.map((member) => member.node);
  }
}

/**
 * One tree from the root: a node used twice would let a small document name work that grows with the power of its
 * depth. Throws `ProtocolError` 'pipeline'.
 */
export function checkTree(root: string, nodes: Nodes): void {
  const used = new Set<string>();
  const visit = (name: string, trail: readonly string[]) => {
    const node = nodes.get(name);
    if (node === undefined) {
      throw invalid(`${where(trail)} names "${name}", which is not among the nodes`);
    }
    const way = [...trail, name];
    if (trail.includes(name)) throw invalid(`the nodes form a cycle: ${way.join(' → ')}`);
    if (used.has(name)) {
      throw invalid(`node "${name}" is used twice; give the second use a node of its own`);
    }
    if (way.length > MAX_PIPELINE_DEPTH) {
      throw invalid(`the nodes nest deeper than ${MAX_PIPELINE_DEPTH} levels: ${way.join(' → ')}`);
    }
    used.add(name);
    for (const child of childrenOf(node)) visit(child, way);
  };
  visit(root, []);
  const unused = [...nodes.keys()].filter((name) => !used.has(name));
  if (unused.length > 0) {
    throw invalid(`nothing leads from the root "${root}" to ${unused.join(', ')}`);
  }
}

function where(trail: readonly string[]): string {
  const last = trail.at(-1);
  return last === undefined ? 'the root' : `node "${last}"`;
}

function invalid(message: string): ProtocolError {
  return new ProtocolError('pipeline', message);
}
