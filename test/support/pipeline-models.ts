import type { GraphSpec } from './onnx-graph-builder.ts';

/** Small ONNX models over `x` FP32[N,3], each with what it computes written beside it. */

const X = { name: 'x', type: 'float', shape: ['N', 3] } as const;
const scalar = (name: string, value: number) => ({ name, dims: [], values: [value] });

/** `y` = x · by, FP32[N,3]. */
export function scale(by: number): GraphSpec {
  return {
    inputs: [X],
    outputs: [{ name: 'y', type: 'float', shape: ['N', 3] }],
    nodes: [{ op: 'Mul', inputs: ['x', 'by'], outputs: ['y'] }],
    constants: [scalar('by', by)],
  };
}

/** `score` = x · weights + bias, FP32[N,1]. */
export function linear(weights: readonly number[], bias: number): GraphSpec {
  return {
    inputs: [X],
    outputs: [{ name: 'score', type: 'float', shape: ['N', 1] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'weights'], outputs: ['product'] },
      { op: 'Add', inputs: ['product', 'bias'], outputs: ['score'] },
    ],
    constants: [{ name: 'weights', dims: [3, 1], values: weights }, scalar('bias', bias)],
  };
}

/** `label` = the index of the largest of x · by (element by element), INT64[N]. */
export function largest(by: readonly number[]): GraphSpec {
  return {
    inputs: [X],
    outputs: [{ name: 'label', type: 'int64', shape: ['N'] }],
    nodes: [
      { op: 'Mul', inputs: ['x', 'by'], outputs: ['weighed'] },
      {
        op: 'ArgMax',
        inputs: ['weighed'],
        outputs: ['label'],
        attributes: { axis: { i: 1 }, keepdims: { i: 0 } },
      },
    ],
    constants: [{ name: 'by', dims: [3], values: by }],
  };
}

/** Fails for any number of rows but seven; `score` FP32[N,1] is what it promises. */
export function failing(): GraphSpec {
  return {
    inputs: [X],
    outputs: [{ name: 'score', type: 'float', shape: ['N', 1] }],
    nodes: [{ op: 'Reshape', inputs: ['x', 'shape'], outputs: ['score'] }],
    constants: [{ name: 'shape', dims: [2], values: [21, 1], type: 'int64' }],
  };
}

/** `y` = x, FP32[N,3], after about 2 GFLOP for each 100 rows. */
export function slow(): GraphSpec {
  const width = 1024;
  const zeros = new Float32Array(width * width);
  const layers = Array.from({ length: 10 }, (_, at) => ({
    op: 'MatMul',
    inputs: [at === 0 ? 'wide' : `h${at - 1}`, 'zeros'],
    outputs: [`h${at}`],
  }));
  return {
    inputs: [X],
    outputs: [{ name: 'y', type: 'float', shape: ['N', 3] }],
    nodes: [
      { op: 'MatMul', inputs: ['x', 'in'], outputs: ['wide'] },
      ...layers,
      { op: 'MatMul', inputs: ['h9', 'out'], outputs: ['nothing'] },
      { op: 'Add', inputs: ['x', 'nothing'], outputs: ['y'] },
    ],
    constants: [
      { name: 'in', dims: [3, width], values: new Float32Array(3 * width) },
      { name: 'zeros', dims: [width, width], values: zeros },
      { name: 'out', dims: [width, 3], values: new Float32Array(3 * width) },
    ],
  };
}

export const FEATURES = { name: 'x', datatype: 'FP32', shape: [-1, 3] };
export const SCORE = { name: 'score', datatype: 'FP32', shape: [-1, 1] };

export function inputOf(rows: readonly (readonly number[])[], name = 'x') {
  return { name, datatype: 'FP32', shape: [rows.length, 3], data: rows.flat() };
}
