import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { agrees } from '../../../../agent/engine/model/executor/admit-executor.ts';
import { compile } from '../../../../agent/engine/model/executor/compile.ts';
import { createNodeRuntime } from '../../../../agent/engine/model/runtime-node.ts';
import {
  floats,
  randomRows,
  seeded,
  type TreeOptions,
  treeModel,
} from '../../../support/random-models.ts';

const runtime = await createNodeRuntime();
const SEED = 20261123;
const SPECIAL = [NaN, Infinity, -Infinity, -0, 3.4e38, 1e-45];
const MODES = [
  'BRANCH_LEQ',
  'BRANCH_LT',
  'BRANCH_GTE',
  'BRANCH_GT',
  'BRANCH_EQ',
  'BRANCH_NEQ',
] as const;

/** Rows on thresholds, between them and outside of all order, alone and a thousand at once. */
async function expectAgreement(options: TreeOptions, seed: number, rows = [1, 3, 64, 1000]) {
  const bytes = treeModel(options, seed);
  const compiled = compile(bytes);
  if (compiled.kind !== 'compiled') throw new Error(compiled.reason);
  const reference = await runtime.open(bytes);
  const random = seeded(seed);
  const samples = rows.map(
    (count) =>
      new Map([['x', floats(count, randomRows(count, options.features, random, SPECIAL))]]),
  );
  const agreement = await agrees(compiled.model, reference, samples);
  await reference.release();
  expect(agreement, JSON.stringify(options)).toMatchObject({ kind: 'agrees' });
}

const FOREST: TreeOptions = { kind: 'regressor', trees: 103, depth: 6, features: 8, targets: 1 };

describe('tree walks against ONNX Runtime', () => {
  it.each(MODES)('%s, with and without tracked missing values', async (mode) => {
    await expectAgreement({ ...FOREST, modes: [mode] }, 1);
    await expectAgreement({ ...FOREST, modes: [mode], missing: true }, 2);
  });

  it('modes mixed, the four that have an order and all six', async () => {
    await expectAgreement({ ...FOREST, modes: MODES.slice(0, 4), missing: true }, 3);
    await expectAgreement({ ...FOREST, modes: MODES, missing: true }, 4);
  });

  it('trees of all heights, from a lone leaf to deeper than are walked together', async () => {
    await expectAgreement({ ...FOREST, depth: 0 }, 5);
    await expectAgreement({ ...FOREST, depth: 9, earlyLeaf: 0.3 }, 6);
    await expectAgreement({ ...FOREST, trees: 9, depth: 13, earlyLeaf: 0.1 }, 7, [1, 50]);
  });

  it('more features than a packed node has room for', async () => {
    await expectAgreement({ ...FOREST, features: 1500 }, 8, [1, 50]);
  });
});

describe('outputs of trees against ONNX Runtime', () => {
  const targetCases = [1, 2, 3].flatMap((targets) =>
    (['first', 'one', 'all'] as const).flatMap((votes) =>
      ['SUM', 'AVERAGE', 'MIN', 'MAX'].map((aggregate) => ({ targets, votes, aggregate })),
    ),
  );
  it.each(targetCases)('regressor, $targets targets, votes for $votes, $aggregate', async (how) => {
    for (const postTransform of ['NONE', 'LOGISTIC', 'SOFTMAX', 'SOFTMAX_ZERO']) {
      for (const base of [undefined, [0.3, -0.2, 0.1].slice(0, how.targets)]) {
        const options = { ...FOREST, trees: 7, depth: 3, base, postTransform, ...how };
        await expectAgreement(options, 11, [1, 60]);
      }
    }
  });

  const classCases = [2, 3, 5].flatMap((targets) =>
    (['first', 'one', 'all'] as const).flatMap((votes) =>
      [true, false].map((positive) => ({ targets, votes, positive })),
    ),
  );
  it.each(classCases)(
    'classifier, $targets classes, votes for $votes, positive: $positive',
    async (how) => {
      const bases = [undefined, Array.from({ length: how.targets }, (_, at) => 0.3 * at - 0.2)];
      if (how.targets === 2 && how.votes === 'first') bases.push([0.1]);
      const labels = how.targets === 5 ? ['a', 'b', 'c', 'd', 'é'] : undefined;
      for (const postTransform of ['NONE', 'LOGISTIC', 'SOFTMAX', 'SOFTMAX_ZERO']) {
        for (const base of bases) {
          const shape = { ...FOREST, kind: 'classifier' as const, trees: 7, depth: 3 };
          await expectAgreement({ ...shape, base, labels, postTransform, ...how }, 12, [1, 60]);
        }
      }
    },
  );
});

describe('any ensemble', () => {
  it('is executed as by ONNX Runtime', async () => {
    const options = fc.record({
      kind: fc.constantFrom('classifier', 'regressor'),
      trees: fc.integer({ min: 1, max: 20 }),
      depth: fc.integer({ min: 0, max: 6 }),
      features: fc.integer({ min: 1, max: 12 }),
      targets: fc.integer({ min: 2, max: 6 }),
      earlyLeaf: fc.double({ min: 0, max: 0.5, noNaN: true }),
      modes: fc.subarray([...MODES], { minLength: 1 }),
      missing: fc.boolean(),
      postTransform: fc.constantFrom('NONE', 'LOGISTIC', 'SOFTMAX', 'SOFTMAX_ZERO'),
      aggregate: fc.constantFrom('SUM', 'AVERAGE', 'MIN', 'MAX'),
      votes: fc.constantFrom('first', 'one', 'all'),
      positive: fc.boolean(),
    }) satisfies fc.Arbitrary<TreeOptions>;
    const property = fc.asyncProperty(options, fc.nat(), (some, seed) =>
      expectAgreement(some, seed, [1, 40]),
    );
    await fc.assert(property, { seed: SEED, numRuns: 200 });
  });
});
