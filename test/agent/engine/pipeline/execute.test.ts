import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Execution } from '../../../../agent/engine/pipeline/execute.ts';
import type { Scope, Value } from '../../../../agent/engine/pipeline/value.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import type { StepNode } from '../../../../protocol/pipeline/document.ts';
import { parsePipelineDocument } from '../../../../protocol/pipeline/document.ts';
import { planPipeline } from '../../../../protocol/pipeline/plan.ts';
import { bytesOf } from '../../../protocol/pipeline/documents.ts';
import { Broken, naive, Refused } from '../../../support/naive-pipeline.ts';
import {
  type Hazard,
  type Row,
  randomPipeline,
  stepRow,
} from '../../../support/random-pipelines.ts';

const NUMBERS = { datatype: 'FP64', shape: [-1, 2] };
const PORTS = {
  inputs: [{ name: 'x', ...NUMBERS }],
  outputs: [
    { name: 'n', ...NUMBERS },
    { name: 'l', datatype: 'INT64', shape: [-1] },
  ],
};

/** A step's answer at once, from nothing but its inputs. */
async function answer(step: StepNode, inputs: Scope): Promise<Scope> {
  if (step.deployment === 'broken') throw new OipError('model_failed', 'broken');
  const given = [...inputs.values()].map(({ tensor }) => tensor);
  const rows = Array.from({ length: given[0].shape[0] }, (_, row) =>
    stepRow(
      Number(step.deployment.slice(1)),
      given.map(({ data }) => [Number(data[2 * row]), Number(data[2 * row + 1])]),
    ),
  );
  return new Map([
    ['n', numbersOf(rows.map(({ numbers }) => numbers))],
    [
      'l',
      {
        byRow: true,
        tensor: {
          datatype: 'INT64',
          shape: [rows.length],
          data: BigInt64Array.from(rows, ({ label }) => label),
        },
      },
    ],
  ]);
}

function numbersOf(rows: readonly (readonly number[])[]): Value {
  const data = Float64Array.from(rows.flat());
  return { byRow: true, tensor: { datatype: 'FP64', shape: [rows.length, 2], data } };
}

type Outcome = { rows: Row[] } | { kind: 'refused' | 'broken' };

it.each<Hazard>(['broken-steps', 'missing-cases'])(
  'PIPELINE-5: random pipelines answer what evaluating them row by row does (%s)',
  async (hazard) => {
    const seen = { rows: 0, refused: 0, broken: 0 };
    await fc.assert(
      fc.asyncProperty(fc.gen(), async (g) => {
        const graph = randomPipeline(g, hazard, g(fc.nat, 3));
        const document = parsePipelineDocument(bytesOf({ schema: 1, ...PORTS, ...graph }));
        const rows = g(
          fc.array,
          fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 })),
          { minLength: 1, maxLength: 9 },
        );
        const way = g(fc.integer, { min: -2, max: 2 });
        let expected: Outcome;
        try {
          const scopes = rows.map((row) => new Map([['x', row]]));
          expected = { rows: naive(document.nodes, document.root, scopes, way) };
        } catch (error) {
          if (!(error instanceof Refused || error instanceof Broken)) throw error;
          expected = { kind: error instanceof Refused ? 'refused' : 'broken' };
        }
        const execution = new Execution(planPipeline(document), { way }, answer);
        const actual = await execution.run(new Map([['x', numbersOf(rows)]])).then(
          (scope) => ({ rows: rowsOf(scope, rows.length) }),
          (error: unknown) => {
            if (!(error instanceof OipError)) throw error;
            return { kind: error.status === 400 ? ('refused' as const) : ('broken' as const) };
          },
        );
        seen['kind' in expected ? expected.kind : 'rows'] += 1;
        expect(rounded(actual)).toEqual(rounded(expected));
      }),
      { numRuns: 300, seed: 7 },
    );
    expect(seen.rows).toBeGreaterThan(60);
    expect(hazard === 'broken-steps' ? seen.broken : seen.refused).toBeGreaterThan(10);
  },
);

function rowsOf(scope: Scope, count: number): Row[] {
  const n = scope.get('n')?.tensor.data ?? [];
  const l = scope.get('l')?.tensor.data ?? [];
  expect([n.length, l.length]).toEqual([2 * count, count]);
  return Array.from({ length: count }, (_, row) => ({
    numbers: [Number(n[2 * row]), Number(n[2 * row + 1])],
    label: BigInt(l[row]),
  }));
}

/** The reference normalises weights before it sums, the engine after: they may differ in the last bits. */
function rounded(outcome: Outcome) {
  if (!('rows' in outcome)) return outcome;
  return outcome.rows.map(({ numbers, label }) => [
    ...numbers.map((x) => Number(x.toFixed(9)) + 0),
    label,
  ]);
}
