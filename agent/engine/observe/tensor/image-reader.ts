import { MAX_MAGNITUDE } from '../../../../protocol/sketch/moments.ts';
import type { NumberData, RowReader } from './row-reader.ts';

export type ChannelOrder = 'channels-first' | 'channels-last';

export interface ImageLayout {
  readonly order: ChannelOrder;
  /** The image is read at `side` × `side` places, whatever its size: each stands for the area around it. */
  readonly side: number;
  /** What the darkest and the brightest value of each channel are. */
  readonly low: readonly number[];
  readonly high: readonly number[];
}

/** Shares of red, green and blue in what the eye calls bright (ITU-R BT.601). */
const LUMA = [0.299, 0.587, 0.114];

/**
 * An image, read at side × side places into its brightness there. Values are scaled so that a channel goes from 0 to 1
 * over the baseline; a fourth channel (opacity) has its mean and deviation watched and nothing else.
 */
export class ImageReader implements RowReader {
  readonly measures: readonly string[];
  readonly width: number;
  readonly #channels: number;
  readonly #order: ChannelOrder;
  readonly #side: number;
  readonly #low: Float64Array;
  readonly #scale: Float64Array;
  readonly #luma: Float64Array;
  /** Mean and deviation of each channel of the row last read. */
  readonly #moments: Float64Array;
  /** Over the channels of colour, at each place. */
  readonly #least: Float64Array;
  readonly #most: Float64Array;
  /** Of the shape last seen. */
  #height = 0;
  #across = 0;
  #places: Int32Array = new Int32Array(0);

  constructor({ order, side, low, high }: ImageLayout) {
    this.#channels = low.length;
    this.#order = order;
    this.#side = side;
    this.width = side * side;
    this.#low = Float64Array.from(low);
    // A channel that never varied stays where it is.
    this.#scale = Float64Array.from(high, (top, at) => (top > low[at] ? 1 / (top - low[at]) : 0));
    this.#luma = this.#channels >= 3 ? Float64Array.from(LUMA) : Float64Array.of(1);
    this.#moments = new Float64Array(2 * this.#channels);
    this.#least = new Float64Array(this.width);
    this.#most = new Float64Array(this.width);
    this.measures = imageMeasures(this.#channels);
  }

  fits(shape: readonly number[], rows: number): boolean {
    const [height, across, channels] = sizesOf(shape, this.#order);
    if (channels !== this.#channels || height < 1 || across < 1 || rows < 1) return false;
    if (height === this.#height && across === this.#across) return true;
    this.#height = height;
    this.#across = across;
    this.#places = placesOf(height, across, this.#side);
    return true;
  }

  read(data: NumberData, at: number, row: Float64Array, values: Float64Array): boolean {
    const area = this.#height * this.#across;
    const from = at * area * this.#channels;
    const [pixel, plane] = this.#order === 'channels-first' ? [1, area] : [this.#channels, 1];
    row.fill(0);
    this.#least.fill(Infinity);
    this.#most.fill(-Infinity);
    let total = 0;
    for (let channel = 0; channel < this.#channels; channel += 1) {
      total += this.#readChannel(data, from + channel * plane, pixel, channel, row);
    }
    const means = 2 * this.#channels;
    for (let k = 0; k < means; k += 1) values[k] = this.#moments[k];
    values[means] = brightness(row);
    values[means + 1] = sharpness(row, this.#side);
    this.#measureColour(values, means + 2);
    return total <= MAX_MAGNITUDE;
  }

  /** One channel at all places. Returns the sum of its squares. */
  #readChannel(
    data: NumberData,
    from: number,
    pixel: number,
    channel: number,
    row: Float64Array,
  ): number {
    const places = this.#places;
    const least = this.#least;
    const most = this.#most;
    const low = this.#low[channel];
    const scale = this.#scale[channel];
    const coloured = channel < this.#luma.length;
    const luma = coloured ? this.#luma[channel] : 0;
    let sum = 0;
    let squares = 0;
    for (let k = 0; k < places.length; k += 1) {
      const x = (data[from + places[k] * pixel] - low) * scale;
      sum += x;
      squares += x * x;
      row[k] += luma * x;
      if (!coloured) continue;
      least[k] = Math.min(least[k], x);
      most[k] = Math.max(most[k], x);
    }
    const mean = sum / places.length;
    this.#moments[2 * channel] = mean;
    const variance = squares / places.length - mean * mean;
    this.#moments[2 * channel + 1] = Math.sqrt(Math.max(0, variance));
    return squares;
  }

  #measureColour(values: Float64Array, at: number): void {
    const least = this.#least;
    const most = this.#most;
    let chroma = 0;
    let clipped = 0;
    for (let k = 0; k < least.length; k += 1) {
      chroma += most[k] - least[k];
      if (least[k] <= 0 || most[k] >= 1) clipped += 1;
    }
    values[at] = clipped / least.length;
    if (this.#luma.length > 1) values[at + 1] = chroma / least.length;
  }
}

export function imageMeasures(channels: number): readonly string[] {
  const perChannel = Array.from({ length: channels }, (_, at) => [`mean-${at}`, `deviation-${at}`]);
  const colour = channels >= 3 ? ['saturation'] : [];
  return [...perChannel.flat(), 'brightness', 'sharpness', 'clipped', ...colour];
}

/** Height, width and channels of images with that shape; an image without a channel dimension has one. */
export function sizesOf(
  shape: readonly number[],
  order: ChannelOrder,
): [height: number, width: number, channels: number] {
  if (shape.length === 3) return [shape[1], shape[2], 1];
  if (shape.length !== 4) return [0, 0, 0];
  return order === 'channels-first'
    ? [shape[2], shape[3], shape[1]]
    : [shape[1], shape[2], shape[3]];
}

/** The middle of each of side × side equal areas, as an index of a pixel. */
function placesOf(height: number, across: number, side: number): Int32Array {
  return Int32Array.from({ length: side * side }, (_, k) => {
    const y = Math.floor(((Math.floor(k / side) + 0.5) * height) / side);
    const x = Math.floor((((k % side) + 0.5) * across) / side);
    return y * across + x;
  });
}

function brightness(light: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < light.length; k += 1) sum += light[k];
  return sum / light.length;
}

/** Mean square difference of neighbouring places: falls when a lens fogs up or loses its focus. */
function sharpness(light: Float64Array, side: number): number {
  let sum = 0;
  for (let k = 1; k < light.length; k += 1) {
    // Across the end of a line the neighbour is no neighbour.
    if (k % side === 0) continue;
    const gap = light[k] - light[k - 1];
    sum += gap * gap;
  }
  return sum / (light.length - side);
}
