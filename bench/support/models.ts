import {
  buildModel,
  type ConstantSpec,
  type NodeSpec,
} from '../../test/support/onnx-graph-builder.ts';
import { mlpModel, seeded, treeModel } from '../../test/support/random-models.ts';

/**
 * The models that benchmarks and tests of placement call. Weights are drawn from a seed: speed and memory depend on
 * shapes alone, and a file that is made needs no download.
 */

export const TINY_FEATURES = 16;
export const GBDT_FEATURES = 32;
export const DENSE_FEATURES = 1024;
export const CONV_SHAPE = [3, 224, 224] as const;

/** `x` [N,16] to `y` [N,2]: 16-64-32-2 with Relu. */
export function tinyModel(): Uint8Array {
  return mlpModel({ widths: [TINY_FEATURES, 64, 32, 2], activation: 'Relu', form: 'gemm' }, 2);
}

/** `x` [N,32] to `label` [N] and `scores` [N,2]: 100 trees of depth 6. */
export function gbdtModel(): Uint8Array {
  const shape = { trees: 100, depth: 6, features: GBDT_FEATURES, targets: 2 };
  const finish = { postTransform: 'LOGISTIC', base: [0.1] };
  return treeModel({ kind: 'classifier', ...shape, ...finish }, 1);
}

const DENSE_WIDTHS = [DENSE_FEATURES, 4096, 4096, 4096, 3072];
const DENSE_OUTPUTS = 8;

/** Drawing 50 million weights one by one takes seconds; a block of a prime length repeated looks as random to a kernel. */
const WEIGHT_BLOCK = 65_521;

/**
 * `x` [N,1024] to `y` [N,8]: dense layers with Relu. 201 MB at `scale` 1; widths between input and output shrink with
 * it, so the file with its square. Another seed gives another file of the same size.
 */
export function denseModel(scale = 1, seed = 3): Uint8Array {
  const random = seeded(seed);
  const block = Float32Array.from({ length: WEIGHT_BLOCK }, () => 2 * random() - 1);
  const inner = DENSE_WIDTHS.slice(1).map((width) => Math.round(width * scale));
  const widths = [DENSE_FEATURES, ...inner, DENSE_OUTPUTS];
  const nodes: NodeSpec[] = [];
  const constants: ConstantSpec[] = [];
  let value = 'x';
  for (let layer = 0; layer + 1 < widths.length; layer += 1) {
    const [k, n] = [widths[layer], widths[layer + 1]];
    const last = layer + 2 === widths.length;
    const made = last ? 'y' : `sum${layer}`;
    constants.push({ name: `w${layer}`, dims: [k, n], values: repeated(block, k * n, k) });
    nodes.push({ op: 'MatMul', inputs: [value, `w${layer}`], outputs: [made] });
    if (!last) nodes.push({ op: 'Relu', inputs: [made], outputs: [`relu${layer}`] });
    value = `relu${layer}`;
  }
  return buildModel({
    inputs: [{ name: 'x', type: 'float', shape: ['N', DENSE_FEATURES] }],
    outputs: [{ name: 'y', type: 'float', shape: ['N', DENSE_OUTPUTS] }],
    nodes,
    constants,
  });
}

function repeated(block: Float32Array, length: number, fanIn: number): Float32Array {
  const scaled = block.map((value) => value / Math.sqrt(fanIn));
  const values = new Float32Array(length);
  for (let at = 0; at < length; at += block.length) {
    values.set(length - at < block.length ? scaled.subarray(0, length - at) : scaled, at);
  }
  return values;
}

/** `x` [N,3,224,224] to `y` of the same shape, with next to no work between: what 602 KB cost on their way. */
export function imageModel(): Uint8Array {
  const shape = ['N', ...CONV_SHAPE];
  return buildModel({
    inputs: [{ name: 'x', type: 'float', shape }],
    outputs: [{ name: 'y', type: 'float', shape }],
    nodes: [{ op: 'Relu', inputs: ['x'], outputs: ['y'] }],
  });
}

/** Expansion, output channels, repeats and first stride of each stage: table 2 of arXiv:1801.04381. */
const STAGES: readonly (readonly [
  expand: number,
  channels: number,
  repeats: number,
  stride: number,
])[] = [
  [1, 16, 1, 1],
  [6, 24, 2, 2],
  [6, 32, 3, 2],
  [6, 64, 4, 2],
  [6, 96, 3, 1],
  [6, 160, 3, 2],
  [6, 320, 1, 1],
];
const STEM_CHANNELS = 32;
const HEAD_CHANNELS = 1280;
const CLASSES = 1000;

/** `x` [N,3,224,224] to `y` [N,1000]: MobileNetV2 at width 1 with its normalisations folded into the convolutions. */
export function convModel(seed = 4): Uint8Array {
  const net = new ConvNet(seeded(seed));
  let value = net.conv('x', {
    from: 3,
    to: STEM_CHANNELS,
    kernel: 3,
    stride: 2,
    group: 1,
    relu: true,
  });
  let channels = STEM_CHANNELS;
  for (const [expand, to, repeats, firstStride] of STAGES) {
    for (let repeat = 0; repeat < repeats; repeat += 1) {
      const stride = repeat === 0 ? firstStride : 1;
      value = net.bottleneck(value, { from: channels, to, expand, stride });
      channels = to;
    }
  }
  value = net.conv(value, {
    from: channels,
    to: HEAD_CHANNELS,
    kernel: 1,
    stride: 1,
    group: 1,
    relu: true,
  });
  return net.finish(value);
}

interface ConvSpec {
  readonly from: number;
  readonly to: number;
  readonly kernel: number;
  readonly stride: number;
  readonly group: number;
  readonly relu: boolean;
}

interface BottleneckSpec {
  readonly from: number;
  readonly to: number;
  readonly expand: number;
  readonly stride: number;
}

class ConvNet {
  readonly #random: () => number;
  readonly #nodes: NodeSpec[] = [];
  readonly #constants: ConstantSpec[] = [
    { name: 'zero', dims: [], values: [0] },
    { name: 'six', dims: [], values: [6] },
  ];

  constructor(random: () => number) {
    this.#random = random;
  }

  conv(input: string, { from, to, kernel, stride, group, relu }: ConvSpec): string {
    const name = `c${this.#nodes.length}`;
    const fanIn = (from / group) * kernel * kernel;
    this.#weights(`${name}_w`, [to, from / group, kernel, kernel], fanIn);
    this.#weights(`${name}_b`, [to], fanIn);
    const pad = (kernel - 1) / 2;
    this.#nodes.push({
      op: 'Conv',
      inputs: [input, `${name}_w`, `${name}_b`],
      outputs: [name],
      attributes: {
        kernel_shape: { ints: [kernel, kernel] },
        strides: { ints: [stride, stride] },
        pads: { ints: [pad, pad, pad, pad] },
        group: { i: group },
      },
    });
    return relu ? this.#node('Clip', [name, 'zero', 'six']) : name;
  }

  bottleneck(input: string, { from, to, expand, stride }: BottleneckSpec): string {
    const inner = from * expand;
    let value = input;
    if (expand > 1) {
      value = this.conv(value, { from, to: inner, kernel: 1, stride: 1, group: 1, relu: true });
    }
    value = this.conv(value, {
      from: inner,
      to: inner,
      kernel: 3,
      stride,
      group: inner,
      relu: true,
    });
    value = this.conv(value, { from: inner, to, kernel: 1, stride: 1, group: 1, relu: false });
    return stride === 1 && from === to ? this.#node('Add', [input, value]) : value;
  }

  finish(value: string): Uint8Array {
    this.#weights('head_w', [HEAD_CHANNELS, CLASSES], HEAD_CHANNELS);
    this.#weights('head_b', [CLASSES], HEAD_CHANNELS);
    const pooled = this.#node('GlobalAveragePool', [value]);
    const flat = this.#node('Flatten', [pooled]);
    this.#nodes.push({ op: 'Gemm', inputs: [flat, 'head_w', 'head_b'], outputs: ['y'] });
    return buildModel({
      inputs: [{ name: 'x', type: 'float', shape: ['N', ...CONV_SHAPE] }],
      outputs: [{ name: 'y', type: 'float', shape: ['N', CLASSES] }],
      nodes: this.#nodes,
      constants: this.#constants,
    });
  }

  #node(op: string, inputs: readonly string[]): string {
    const name = `${op.toLowerCase()}${this.#nodes.length}`;
    this.#nodes.push({ op, inputs, outputs: [name] });
    return name;
  }

  /** Kaiming's uniform bound, so that activations neither vanish nor saturate over fifty layers. */
  #weights(name: string, dims: readonly number[], fanIn: number): void {
    const bound = Math.sqrt(6 / fanIn);
    const count = dims.reduce((product, size) => product * size, 1);
    const values = Float32Array.from({ length: count }, () => (2 * this.#random() - 1) * bound);
    this.#constants.push({ name, dims, values });
  }
}
