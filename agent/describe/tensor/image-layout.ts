import { showShape } from '../../../protocol/tensor.ts';
import type { TensorLayout, WatchedTensorSpec } from '../../../protocol/tensor-profile.ts';
import { type ChannelOrder, sizesOf } from '../../engine/observe/tensor/image-reader.ts';
import { type NumberData, numbersOf } from '../../engine/observe/tensor/row-reader.ts';
import { AgentError } from '../../error.ts';
import type { TensorBatch } from './learn-tensor.ts';

type ImageLayout = Extract<TensorLayout, { kind: 'image' }>;

/** Places that an image is read at, across and down. */
const MOST_PLACES = 64;
const CHANNELS: readonly number[] = [1, 3, 4];

/**
 * Where the channels of images lie, how finely they are read, and the darkest and brightest value of each channel. Throws
 * `AgentError` 'configuration' where the baseline's rows are no images, or too small.
 */
export function learnImageLayout(
  spec: WatchedTensorSpec,
  batches: readonly TensorBatch[],
): ImageLayout {
  const images = batches.flatMap(({ inputs, outputs }) => {
    const tensor = (spec.side === 'input' ? inputs : outputs).get(spec.name);
    const numbers = tensor === undefined ? null : numbersOf(tensor);
    return tensor === undefined || numbers === null ? [] : [{ shape: tensor.shape, numbers }];
  });
  const [first] = images;
  if (first === undefined) {
    throw new AgentError('configuration', `tensor "${spec.name}" holds no numbers: it is no image`);
  }
  const order = orderOf(first.shape);
  const [height, width, channels] = sizesOf(first.shape, order ?? 'channels-first');
  const side = Math.min(MOST_PLACES, height, width);
  if (order === null || side < 2) {
    throw new AgentError(
      'configuration',
      `tensor "${spec.name}" has the shape ${showShape(first.shape)}: images are [rows, channels, height, width], [rows, height, width, channels] or [rows, height, width], of ${CHANNELS.join(', ')} channels and at least 2 by 2 pixels`,
    );
  }
  const low = new Array<number>(channels).fill(Infinity);
  const high = new Array<number>(channels).fill(-Infinity);
  const area = height * width;
  for (const { numbers } of images) widen(numbers, order, area, low, high);
  const finite = low.every(Number.isFinite) && high.every(Number.isFinite);
  if (!finite) {
    throw new AgentError('configuration', `tensor "${spec.name}" holds no finite numbers`);
  }
  return { kind: 'image', order, side, low, high };
}

/** By the dimension that is as many as images have channels; the first where both are. */
function orderOf(shape: readonly number[]): ChannelOrder | null {
  if (shape.length === 3) return 'channels-first';
  if (shape.length !== 4) return null;
  if (CHANNELS.includes(shape[1])) return 'channels-first';
  return CHANNELS.includes(shape[3]) ? 'channels-last' : null;
}

/** Takes what is finite in a batch into the range of its channel. */
function widen(
  numbers: NumberData,
  order: ChannelOrder,
  area: number,
  low: number[],
  high: number[],
): void {
  const channels = low.length;
  for (let at = 0; at < numbers.length; at += 1) {
    const x = numbers[at];
    const channel = order === 'channels-first' ? Math.floor(at / area) % channels : at % channels;
    if (x < low[channel] && x > -Infinity) low[channel] = x;
    if (x > high[channel] && x < Infinity) high[channel] = x;
  }
}
