import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtocolError } from '../../../protocol/error.ts';
import { MAX_RANK, MAX_TENSORS } from '../../../protocol/limits.ts';
import { readModelInfo } from '../../../protocol/onnx/model-info.ts';
import {
  block,
  externalTensor,
  graphAttribute,
  graphOf,
  innerTensor,
  int,
  modelOf,
  node,
  tensorAttribute,
  valueInfo,
} from './onnx-bytes.ts';

const mortgage = (version: string) =>
  readFileSync(
    new URL(`../../../control-plane/examples/mortgage/${version}.onnx`, import.meta.url),
  );

const OUTPUT = valueInfo('y', 1, [4]);

/** Reads bytes that may be anything; the only error there may be is ours. */
function outcome(bytes: Uint8Array): string {
  try {
    readModelInfo(bytes);
    return 'read';
  } catch (error) {
    if (error instanceof ProtocolError && error.kind === 'onnx') return error.message;
    throw error;
  }
}

describe('ONNX-1: a real model', () => {
  it.each(['v1', 'v2', 'v3'])('%s tells its inputs, outputs and operator sets', (version) => {
    const info = readModelInfo(mortgage(version));
    expect(info).toMatchObject({
      irVersion: 8,
      inputs: [{ name: 'features', datatype: 'FP32', shape: [-1, 10] }],
      outputs: [
        { name: 'label', datatype: 'INT64', shape: [-1] },
        { name: 'probabilities', datatype: 'FP32', shape: [-1, 2] },
      ],
    });
    expect(Object.fromEntries(info.opsets)).toEqual({ '': 17, 'ai.onnx.ml': 1 });
    expect(info.nodeCount).toBeGreaterThan(0);
  });
});

describe('ONNX-1: a model written by hand', () => {
  it('keeps free dimensions as -1, scalars as [] and initializers out of its inputs', () => {
    const graph = graphOf({
      inputs: [valueInfo('x', 1, [null, 3]), valueInfo('w', 1, [4]), valueInfo('s', 7, [])],
      initializers: [innerTensor('w')],
      outputs: [OUTPUT],
    });
    expect(readModelInfo(modelOf(graph)).inputs).toEqual([
      { name: 'x', datatype: 'FP32', shape: [-1, 3] },
      { name: 's', datatype: 'INT64', shape: [] },
    ]);
  });

  it('is refused when a tensor is none, has no type or a type that cannot be carried', () => {
    const output = (info: number[]) => modelOf(graphOf({ outputs: [info] }));
    const sequence = [...block(1, 'y'), ...block(2, block(4, []))];
    expect(outcome(output(sequence))).toContain('"y" is a sequence, map or optional');
    expect(outcome(output(block(1, 'y')))).toContain('tensor "y" has no type');
    expect(outcome(output(valueInfo('y', 14, [1])))).toContain('"y" has ONNX type 14');
  });

  it('is refused without a graph, outputs or IR version, and with two graphs', () => {
    const graph = graphOf({ outputs: [OUTPUT] });
    expect(outcome(Uint8Array.from(int(1, 8)))).toContain('hold no graph');
    expect(outcome(Uint8Array.from(block(7, graph)))).toContain('hold no IR version');
    expect(outcome(modelOf(graphOf({})))).toContain('no outputs');
    const twice = [...int(1, 8), ...block(7, graph), ...block(7, graph)];
    expect(outcome(Uint8Array.from(twice))).toContain('two graphs');
  });

  it('may have as many tensors and dimensions as the limits say, not one more', () => {
    const outputs = (count: number) =>
      modelOf(
        graphOf({ outputs: Array.from({ length: count }, (_, at) => valueInfo(`y${at}`, 1, [1])) }),
      );
    expect(outcome(outputs(MAX_TENSORS))).toBe('read');
    expect(outcome(outputs(MAX_TENSORS + 1))).toContain(`more than ${MAX_TENSORS}`);
    const rank = (dimensions: number) =>
      modelOf(graphOf({ outputs: [valueInfo('y', 1, new Array(dimensions).fill(1))] }));
    expect(outcome(rank(MAX_RANK))).toBe('read');
    expect(outcome(rank(MAX_RANK + 1))).toContain(`at most ${MAX_RANK}`);
  });
});

describe('ONNX-2: external data', () => {
  const branch = graphOf({ initializers: [externalTensor('w')], outputs: [OUTPUT] });
  const sparse = block(1, externalTensor('w'));
  const twice = [...externalTensor('w'), ...block(9, [0])];
  const nodeWith = (...attributes: number[][]) =>
    modelOf(graphOf({ nodes: [node('Op', [], ['y'], attributes)], outputs: [OUTPUT] }));

  it.each<[string, Uint8Array]>([
    [
      'an initializer',
      modelOf(graphOf({ initializers: [externalTensor('w')], outputs: [OUTPUT] })),
    ],
    ['a constant', nodeWith(tensorAttribute('value', externalTensor('w')))],
    [
      'the second attribute',
      nodeWith(tensorAttribute('a', innerTensor('i')), tensorAttribute('b', twice)),
    ],
    ['a list of tensors', nodeWith([...block(1, 'values'), ...block(10, externalTensor('w'))])],
    ['a branch', nodeWith(graphAttribute('then_branch', branch))],
    ['a list of branches', nodeWith([...block(1, 'graphs'), ...block(11, branch)])],
    ['a sparse attribute', nodeWith([...block(1, 'value'), ...block(22, sparse)])],
    ['a sparse initializer', modelOf([...graphOf({ outputs: [OUTPUT] }), ...block(15, sparse)])],
    [
      'a function',
      Uint8Array.of(
        ...modelOf(graphOf({ outputs: [OUTPUT] })),
        ...block(
          25,
          block(7, node('Constant', [], ['c'], [tensorAttribute('value', externalTensor('w'))])),
        ),
      ),
    ],
  ])('is refused in %s', (_, model) => {
    expect(outcome(model)).toContain('external data');
  });

  it('is not seen where there is none', () => {
    const inner = graphOf({ initializers: [innerTensor('w')], outputs: [OUTPUT] });
    const model = nodeWith(
      tensorAttribute('value', innerTensor('c')),
      graphAttribute('then_branch', inner),
    );
    expect(outcome(model)).toBe('read');
  });

  it('is looked for at any depth a model can have, and no deeper', () => {
    let graph = branch;
    const nested = (levels: number) => {
      for (let level = 0; level < levels; level += 1) {
        graph = graphOf({
          nodes: [node('If', [], ['y'], [graphAttribute('b', graph)])],
          outputs: [OUTPUT],
        });
      }
      return modelOf(graph);
    };
    expect(outcome(nested(20))).toContain('external data');
    expect(outcome(nested(2))).toContain('more than 64 deep');
  });
});

describe('ONNX-3: operators', () => {
  it('of ONNX and of ONNX Runtime are known, all others refused by name', () => {
    const graph = graphOf({ outputs: [OUTPUT] });
    expect(outcome(modelOf(graph, { '': 21, 'ai.onnx.ml': 3, 'com.microsoft': 1 }))).toBe('read');
    expect(outcome(modelOf(graph, { '': 17, 'com.evil': 1 }))).toContain('domain "com.evil"');
  });
});

describe('ONNX-4: bytes that are no model', () => {
  it('are refused wherever a real model is cut, quickly', () => {
    const model = mortgage('v1');
    const started = performance.now();
    let read = 0;
    for (let length = 0; length < model.length; length += 1) {
      if (outcome(model.subarray(0, length)) === 'read') read += 1;
    }
    // Cut after the graph the rest (operator sets) is optional, so those few are models still.
    expect(read).toBeLessThan(40);
    expect((performance.now() - started) / model.length).toBeLessThan(1);
  });

  it('never end in another error, whichever byte of a real model is changed', () => {
    const model = Uint8Array.from(mortgage('v1'));
    fc.assert(
      fc.property(fc.nat(model.length - 1), fc.nat(255), (at, value) => {
        const changed = Uint8Array.from(model);
        changed[at] = value;
        outcome(changed);
      }),
      { numRuns: 300 },
    );
  });

  it('never end in another error, whatever they are', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        outcome(bytes);
        outcome(Uint8Array.of(...int(1, 8), ...block(7, [...bytes])));
        outcome(modelOf([...bytes, ...graphOf({ outputs: [OUTPUT] })]));
      }),
      { numRuns: 2000 },
    );
  });
});
