import { buildModel } from '../../test/support/onnx-graph-builder.ts';
import { CONV_SHAPE } from './models.ts';

/** `x` [N,3,224,224] to `y` [N,3,1,1], the mean of each channel: an image comes in, and next to nothing is computed. */
export function poolModel(): Uint8Array {
  const [channels] = CONV_SHAPE;
  return buildModel({
    inputs: [{ name: 'x', type: 'float', shape: ['N', ...CONV_SHAPE] }],
    outputs: [{ name: 'y', type: 'float', shape: ['N', channels, 1, 1] }],
    nodes: [{ op: 'GlobalAveragePool', inputs: ['x'], outputs: ['y'] }],
    constants: [],
  });
}
