import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Answer, PipelineEngine } from '../../../support/pipeline-engine.ts';
import {
  FEATURES,
  inputOf,
  largest,
  linear,
  SCORE,
  scale,
} from '../../../support/pipeline-models.ts';

let engine: PipelineEngine;
const ROWS = [
  [1, 2, 3],
  [-1, 0.5, 4],
  [9, -3, 0.25],
  [-7, 6, -5],
];
const LABEL = { name: 'label', datatype: 'INT64', shape: [-1] };
const step = (deployment: string, inputs: unknown, outputs: unknown) => ({
  kind: 'step',
  deployment,
  inputs,
  outputs,
});
const graph = (outputs: object[], nodes: object, inputs: object[] = [FEATURES]) => ({
  schema: 1,
  inputs,
  outputs,
  root: 'main',
  nodes,
});
const dot = (row: readonly number[], weights: readonly number[], bias: number) =>
  row.reduce((sum, x, at) => sum + x * weights[at], bias);

const A = [0.5, -1, 2];
const B = [1, 1, 1];
const C = [-2, 0, 0.25];

function dataOf(answer: Answer, name = 'score'): (number | string)[] {
  expect(answer).toMatchObject({ status: 200 });
  return answer.outputs?.find((output) => output.name === name)?.data ?? [];
}
const close = (actual: readonly unknown[], expected: readonly number[]) => {
  expect(actual).toHaveLength(expected.length);
  for (const [at, value] of expected.entries()) expect(actual[at]).toBeCloseTo(value, 4);
};

beforeAll(async () => {
  engine = await PipelineEngine.start();
  const scored = (deployment: string, output = 'score') =>
    step(deployment, ['x'], { score: output });
  const branch = { a: scored('a'), b: scored('b'), c: scored('c') };
  const members = [
    { node: 'a', weight: 1 },
    { node: 'b', weight: 2 },
    { node: 'c', weight: 5 },
  ];
  const ensemble = (how: string) =>
    graph([SCORE], { main: { kind: 'ensemble', members, combine: { score: how } }, ...branch });
  const labels = Object.fromEntries(
    ['la', 'lb', 'lc'].map((name) => [name, step(name, ['x'], ['label'])]),
  );
  await engine.deploy({
    tripled: await engine.model(scale(3)),
    a: await engine.model(linear(A, 1)),
    b: await engine.model(linear(B, 0)),
    c: await engine.model(linear(C, -1)),
    la: await engine.model(largest([1, 1, 1])),
    lb: await engine.model(largest([1, 2, 0])),
    lc: await engine.model(largest([-1, 1, 1])),
    sequence: await engine.pipeline(
      graph([SCORE], {
        main: { kind: 'sequence', nodes: ['first', 'second'] },
        first: step('tripled', ['x'], { y: 'tripled' }),
        second: step('a', { x: 'tripled' }, ['score']),
      }),
    ),
    switched: await engine.pipeline(
      graph([SCORE], {
        main: {
          kind: 'switch',
          on: { tensor: 'x', index: 0 },
          cases: [
            { op: '<', value: -5, node: 'c' },
            { op: 'in', values: [1, 9], node: 'a' },
          ],
          default: 'b',
        },
        ...branch,
      }),
    ),
    strict: await engine.pipeline(
      graph([SCORE], {
        main: {
          kind: 'switch',
          on: { parameter: 'tenant' },
          cases: [
            { op: '==', value: 'acme', node: 'a' },
            { op: 'in', values: ['b', 'bee'], node: 'b' },
          ],
        },
        a: branch.a,
        b: branch.b,
      }),
    ),
    mean: await engine.pipeline(ensemble('mean')),
    weighted: await engine.pipeline(ensemble('weighted')),
    vote: await engine.pipeline(
      graph([LABEL], {
        main: {
          kind: 'ensemble',
          members: [{ node: 'la' }, { node: 'lb' }, { node: 'lc' }],
          combine: { label: 'vote' },
        },
        ...labels,
      }),
    ),
  });
}, 60_000);
afterAll(() => engine.stop());

describe('a pipeline over HTTP', () => {
  it('PIPELINE-10: answers a sequence of two models', async () => {
    const answer = await engine.infer('sequence', [inputOf(ROWS)]);
    close(
      dataOf(answer),
      ROWS.map((row) =>
        dot(
          row.map((x) => 3 * x),
          A,
          1,
        ),
      ),
    );
    expect(answer).toMatchObject({ model_version: '1', outputs: [{ shape: [4, 1] }] });
  });

  it('PIPELINE-11: sends each row its own way, and gives the answers back in their order', async () => {
    const ways = (row: readonly number[]) => {
      if (row[0] < -5) return dot(row, C, -1);
      return row[0] === 1 || row[0] === 9 ? dot(row, A, 1) : dot(row, B, 0);
    };
    const before = await engine.counted('a');
    close(dataOf(await engine.infer('switched', [inputOf(ROWS)])), ROWS.map(ways));
    const after = await engine.counted('a');
    expect(after.rows - before.rows).toBe(2);
    close(dataOf(await engine.infer('switched', [inputOf([ROWS[3]])])), [ways(ROWS[3])]);
    expect(dataOf(await engine.infer('switched', [inputOf([])]))).toEqual([]);
  });

  it('PIPELINE-12: decides by a parameter of the request, and says what it lacks', async () => {
    const ask = (parameters?: object) =>
      engine.infer('strict', [inputOf(ROWS)], parameters === undefined ? {} : { parameters });
    close(
      dataOf(await ask({ tenant: 'acme' })),
      ROWS.map((row) => dot(row, A, 1)),
    );
    close(
      dataOf(await ask({ tenant: 'bee' })),
      ROWS.map((row) => dot(row, B, 0)),
    );
    expect(await ask()).toMatchObject({ status: 400, error: expect.stringContaining('"tenant"') });
    expect(await ask({ tenant: 'x' })).toMatchObject({
      status: 400,
      error: expect.stringContaining('"x", for which there is no case'),
    });
    expect(await ask({ tenant: 4 })).toMatchObject({
      status: 400,
      error: expect.stringContaining('needs a string'),
    });
    expect((await engine.counted('strict')).failed).toBe(0);
  });

  it('PIPELINE-13: takes the mean, and the weighted mean by normalised weights', async () => {
    const scores = ROWS.map((row) => [dot(row, A, 1), dot(row, B, 0), dot(row, C, -1)]);
    const mean = scores.map(([a, b, c]) => (a + b + c) / 3);
    close(dataOf(await engine.infer('mean', [inputOf(ROWS)])), mean);
    const weighted = scores.map(([a, b, c]) => (a + 2 * b + 5 * c) / 8);
    close(dataOf(await engine.infer('weighted', [inputOf(ROWS)])), weighted);
  });

  it('PIPELINE-14: takes the vote; of a tie, the label of the member named first', async () => {
    const largestOf = (row: readonly number[], by: readonly number[]) => {
      const weighed = row.map((x, at) => x * by[at]);
      return weighed.indexOf(Math.max(...weighed));
    };
    const tie = [3, 2, 2.5];
    const rows = [...ROWS, tie];
    const expected = rows.map((row) => {
      const [a, b, c] = [
        [1, 1, 1],
        [1, 2, 0],
        [-1, 1, 1],
      ].map((by) => largestOf(row, by));
      return b === c ? b : a;
    });
    expect(dataOf(await engine.infer('vote', [inputOf(rows)]), 'label')).toEqual(expected);
  });

  it('PIPELINE-15: shows itself as an ensemble with its steps', async () => {
    const get = async (path: string) =>
      (await fetch(`${engine.url}/v2/models/${path}`)).json() as Promise<object>;
    expect(await get('vote')).toMatchObject({
      platform: 'ensemble',
      inputs: [FEATURES],
      outputs: [LABEL],
    });
    expect(await get('vote/config')).toMatchObject({
      platform: 'ensemble',
      parameters: { 'driftline.steps': { string_value: 'la, lb, lc' } },
    });
  });
});
