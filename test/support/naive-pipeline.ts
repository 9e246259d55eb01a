import type { PipelineNode, SwitchCase } from '../../protocol/pipeline/document.ts';
import { type Row, stepRow } from './random-pipelines.ts';

export class Refused extends Error {}
export class Broken extends Error {}

type Scope = ReadonlyMap<string, readonly number[]>;
type Nodes = Readonly<Record<string, PipelineNode>>;

/** What a random pipeline answers for rows, one row after the other and with nothing of the engine. */
export function naive(nodes: Nodes, name: string, rows: readonly Scope[], way: number): Row[] {
  const node = nodes[name];
  const go = (child: string, some: readonly Scope[]) => naive(nodes, child, some, way);
  switch (node.kind) {
    case 'step':
      if (node.deployment === 'broken') throw new Broken();
      return rows.map((scope) => {
        const given = node.inputs.map((wire) => scope.get(wire.pipeline) ?? []);
        return stepRow(Number(node.deployment.slice(1)), given);
      });
    case 'sequence': {
      const [first, second] = node.nodes;
      const between = go(first, rows);
      const named = outputName(nodes, first);
      return go(
        second,
        rows.map((scope, at) => new Map([...scope, [named, between[at].numbers]])),
      );
    }
    case 'switch': {
      const { on } = node;
      const taken = rows.map((scope) => {
        const value = 'parameter' in on ? way : scope.get(on.tensor)?.[on.index];
        const branch = node.cases.find((each) => agrees(each, Number(value)))?.node ?? node.default;
        if (branch === undefined) throw new Refused();
        return branch;
      });
      const answers: Row[] = [];
      for (const branch of new Set(taken)) {
        const at = taken.flatMap((each, row) => (each === branch ? [row] : []));
        const part = go(
          branch,
          at.map((row) => rows[row]),
        );
        for (const [i, row] of at.entries()) answers[row] = part[i];
      }
      return answers;
    }
    case 'ensemble': {
      const voices: { weight: number; rows: Row[] }[] = [];
      let broken = 0;
      for (const { node: member, weight = 1 } of node.members) {
        try {
          voices.push({ weight, rows: go(member, rows) });
        } catch (error) {
          if (error instanceof Refused || node.failure.policy === 'fail') throw error;
          broken += 1;
        }
      }
      const { failure, members } = node;
      if (failure.policy === 'skip' && members.length - broken < failure.quorum) throw new Broken();
      const weighted = Object.values(node.combine).includes('weighted');
      return rows.map((_, row) =>
        together(
          voices.map((voice) => ({ ...voice, row: voice.rows[row] })),
          weighted,
        ),
      );
    }
  }
}

function together(voices: readonly { weight: number; row: Row }[], weighted: boolean): Row {
  const weights = voices.map(({ weight }) => (weighted ? weight : 1));
  const all = weights.reduce((a, b) => a + b);
  const numbers = [0, 1].map((column) =>
    voices.reduce((sum, { row }, at) => sum + (weights[at] / all) * row.numbers[column], 0),
  );
  const labels = voices.map(({ row }) => row.label);
  const votes = (label: bigint) => labels.filter((each) => each === label).length;
  const most = Math.max(...labels.map(votes));
  return { numbers, label: labels.find((label) => votes(label) === most) ?? 0n };
}

function agrees(each: SwitchCase, value: number): boolean {
  if (each.op === 'in') return each.values.includes(value);
  const other = Number(each.value);
  if (each.op === '==') return value === other;
  if (each.op === '!=') return value !== other;
  if (each.op === '<') return value < other;
  if (each.op === '<=') return value <= other;
  return each.op === '>' ? value > other : value >= other;
}

/** The name under which a node leaves its numbers: all its leaves write the same. */
function outputName(nodes: Nodes, name: string): string {
  const node = nodes[name];
  switch (node.kind) {
    case 'step':
      return node.outputs.find(({ model }) => model === 'n')?.pipeline ?? '';
    case 'sequence':
      return outputName(nodes, node.nodes[1]);
    case 'switch':
      return outputName(nodes, node.cases[0].node);
    case 'ensemble':
      return outputName(nodes, node.members[0].node);
  }
}
