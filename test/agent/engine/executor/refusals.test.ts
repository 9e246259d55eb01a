import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compileModel, explain } from '../../../../agent/engine/model/executor/compile.ts';
import { MAX_NODES } from '../../../../agent/engine/model/executor/graph.ts';
import { MORTGAGE } from '../../../support/mortgage.ts';
import { buildModel, type NodeSpec } from '../../../support/onnx-graph-builder.ts';
import {
  mlpModel,
  seeded,
  type TreeOptions,
  treeColumns,
  treeModel,
  treeModelOf,
} from '../../../support/random-models.ts';

const SEED = 20261123;
const OPTIONS: TreeOptions = { kind: 'classifier', trees: 3, depth: 3, features: 4, targets: 2 };

function addNode(
  columns: ReturnType<typeof treeColumns>,
  tree: number,
  id: number,
  mode: string,
  child = 0,
) {
  columns.trees.push(tree);
  columns.ids.push(id);
  columns.modes.push(mode);
  columns.features.push(0);
  columns.values.push(0);
  columns.missing.push(0);
  columns.whenTrue.push(child);
  columns.whenFalse.push(child);
}

/** A good ensemble after `change`. */
function changed(change: (columns: ReturnType<typeof treeColumns>) => void): Uint8Array {
  const columns = treeColumns(OPTIONS, seeded(1));
  change(columns);
  return treeModelOf(OPTIONS, columns);
}

describe('trees that are none', () => {
  it.each<[string, RegExp, Parameters<typeof changed>[0]]>([
    [
      'a node that leads to itself',
      /cycle/,
      (c) => {
        c.whenTrue[0] = 0;
      },
    ],
    [
      'a node that leads to its parent',
      /cycle/,
      (c) => {
        c.whenFalse[1] = 0;
      },
    ],
    [
      'a child that is not there',
      /not there/,
      (c) => {
        c.whenTrue[0] = 20;
      },
    ],
    [
      'a child below 0',
      /out of range/,
      (c) => {
        c.whenTrue[0] = -1;
      },
    ],
    [
      'a child of 2^40',
      /out of range/,
      (c) => {
        c.whenTrue[0] = 2 ** 40;
      },
    ],
    [
      'a node that is there twice',
      /twice/,
      (c) => {
        c.ids[1] = 0;
      },
    ],
    [
      'a feature past the last',
      /feature 4 of 4/,
      (c) => {
        c.features[0] = 4;
      },
    ],
    [
      'a feature below 0',
      /feature -1 of 4/,
      (c) => {
        c.features[0] = -1;
      },
    ],
    [
      'an unknown mode',
      /mode "BRANCH_MEMBER"/,
      (c) => {
        c.modes[0] = 'BRANCH_MEMBER';
      },
    ],
    [
      'fewer values than nodes',
      /values/,
      (c) => {
        c.values.pop();
      },
    ],
    [
      'fewer modes than nodes',
      /modes/,
      (c) => {
        c.modes.pop();
      },
    ],
    [
      'a tree in parts',
      /in parts/,
      (c) => {
        addNode(c, 0, 20, 'LEAF');
      },
    ],
    [
      'a leaf without a weight',
      /no weight/,
      (c) => {
        c.votes.pop();
      },
    ],
    [
      'a vote for a class past the last',
      /target 2/,
      (c) => {
        c.votes[0].target = 2;
      },
    ],
    [
      'a vote of a node that is not there',
      /out of range/,
      (c) => {
        c.votes[0].node = 999;
      },
    ],
  ])('%s', (_, reason, change) => {
    const bytes = changed(change);
    expect(compileModel(bytes)).toBeNull();
    expect(explain(bytes)).toMatch(reason);
  });

  it('a cycle that takes a long way round, among 20,000 nodes', () => {
    const bytes = changed((c) => {
      for (let at = 0; at < 20_000; at += 1) {
        addNode(c, 3, at, 'BRANCH_LEQ', (at + 1) % 20_000);
      }
    });
    expect(explain(bytes)).toMatch(/cycle/);
  });

  it.each([
    ['PROBIT', { postTransform: 'PROBIT' }],
    ['one class', { targets: 1 }],
    ['base values for another number of classes', { base: [1, 2, 3] }],
    // Where no tree votes for the second class, ONNX Runtime leaves its score unwritten.
    ['one base value for two classes that are voted for', { base: [1], votes: 'one' as const }],
  ])('%s', (_, how) => {
    expect(explain(treeModel({ ...OPTIONS, ...how }, 1))).not.toBeNull();
  });
});

describe('graphs that ONNX Runtime has to execute', () => {
  const nodes = (...some: NodeSpec[]) =>
    buildModel({
      inputs: [{ name: 'x', type: 'float', shape: ['N', 4] }],
      outputs: [{ name: 'y', type: 'float', shape: ['N', 4] }],
      nodes: some,
    });

  it.each<[string, RegExp, Uint8Array]>([
    ['another operator', /Erf/, nodes({ op: 'Erf', inputs: ['x'], outputs: ['y'] })],
    ['a value before it is made', /before/, nodes({ op: 'Relu', inputs: ['z'], outputs: ['y'] })],
    [
      'a value that is made twice',
      /twice/,
      nodes(
        { op: 'Relu', inputs: ['x'], outputs: ['y'] },
        { op: 'Tanh', inputs: ['x'], outputs: ['y'] },
      ),
    ],
    [
      'more nodes than the bound',
      /256 nodes/,
      nodes(
        ...Array.from({ length: MAX_NODES + 1 }, (_, at) => ({
          op: 'Relu',
          inputs: [at === 0 ? 'x' : `v${at}`],
          outputs: [`v${at + 1}`],
        })),
      ),
    ],
    [
      'more multiply-adds than the bound',
      /1000000 multiply-adds/,
      mlpModel({ widths: [1000, 1001], activation: 'Relu', form: 'gemm' }, 1),
    ],
    [
      'a weight that claims 2^62 values',
      /has the shape|more than|values for/,
      buildModel({
        inputs: [{ name: 'x', type: 'float', shape: ['N', 4] }],
        outputs: [{ name: 'y', type: 'float', shape: ['N', 4] }],
        nodes: [{ op: 'MatMul', inputs: ['x', 'w'], outputs: ['y'] }],
        constants: [{ name: 'w', dims: [2 ** 31, 2 ** 31], values: [1] }],
      }),
    ],
    [
      'free columns',
      /only the rows/,
      buildModel({
        inputs: [{ name: 'x', type: 'float', shape: ['N', 'M'] }],
        outputs: [{ name: 'y', type: 'float', shape: ['N', 'M'] }],
        nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
      }),
    ],
    ['no model', /not an ONNX file/, Uint8Array.of(1, 2, 3)],
    ['nothing', /not an ONNX file/, new Uint8Array()],
  ])('%s', (_, reason, bytes) => {
    expect(compileModel(bytes)).toBeNull();
    expect(explain(bytes)).toMatch(reason);
  });
});

describe('damaged files', () => {
  it('cut off anywhere: null with a reason', async () => {
    const bytes = await readFile(join(MORTGAGE, 'v1.onnx'));
    for (let end = 0; end < bytes.length - 200; end += 311) {
      expect(explain(bytes.subarray(0, end)), `${end} bytes`).not.toBeNull();
    }
  });

  it('with any bytes changed: null, or a model that ends', () => {
    const small = [
      treeModel(OPTIONS, 1),
      mlpModel({ widths: [4, 5, 2], activation: 'Relu', form: 'matmul' }, 1),
    ];
    const edits = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), {
      minLength: 1,
      maxLength: 6,
    });
    const property = fc.property(fc.constantFrom(...small), edits, (model, changes) => {
      const bytes = model.slice();
      for (const [at, byte] of changes) bytes[at % bytes.length] = byte;
      const compiled = compileModel(bytes);
      if (compiled === null) return;
      const inputs = compiled.inputs.map(({ name, datatype, shape }) => {
        const sizes = shape.map((dimension) => (dimension === -1 ? 2 : dimension));
        if (datatype !== 'FP32' || sizes.reduce((a, b) => a * b, 1) > 1e5) return null;
        const data = new Float32Array(sizes.reduce((a, b) => a * b, 1));
        return [name, { datatype, shape: sizes, data }] as const;
      });
      const given = inputs.filter((input) => input !== null);
      if (given.length === inputs.length && given.length > 0) {
        expect(compiled.runSync(new Map(given)).size).toBe(compiled.outputs.length);
      }
    });
    fc.assert(property, { seed: SEED, numRuns: 5000 });
  });
});
