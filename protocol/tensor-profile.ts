import { z } from 'zod';
import { fromBase64, toBase64 } from './bytes.ts';
import { ProtocolError } from './error.ts';
import { MAX_BINS } from './sketch/grid.ts';
import type { TensorGrid } from './sketch/tensor-sketch.ts';
import type { FourierSpread } from './statistics/tensor-fourier.ts';

/** Whole tensors that one version has watched: each costs a host some microseconds a row. */
export const MAX_WATCHED_TENSORS = 8;

/** Elements of a row that are looked at; wider rows are sampled by stride. */
export const MAX_WATCHED_ELEMENTS = 4096;

const MAX_AXES = 32;
const MAX_CENTROIDS = 64;
const MAX_FOURIER = 512;
const MAX_CHANNELS = 4;
const MAX_MEASURES = 2 * MAX_CHANNELS + 6;

/** What of a version is watched as a whole, as a manifest names it. */
export const watchedTensorSpecSchema = z.strictObject({
  name: z.string().min(1).max(256),
  side: z.enum(['input', 'output']),
  kind: z.enum(['embedding', 'image']),
});
export type WatchedTensorSpec = z.infer<typeof watchedTensorSpecSchema>;

/** Little-endian float32 as base64. */
const floatsSchema = z.string().max(Math.ceil((MAX_AXES * MAX_WATCHED_ELEMENTS * 16) / 3) + 4);

const positive = z.number().positive().max(Number.MAX_VALUE);

/** One watched tensor, as it stands in `profile.json`. */
export const tensorProfileSchema = z.object({
  ...watchedTensorSpecSchema.shape,
  width: z.int().min(1).max(MAX_WATCHED_ELEMENTS),
  layout: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('vector'), elements: z.int().min(1) }),
    z.object({
      kind: z.literal('image'),
      order: z.enum(['channels-first', 'channels-last']),
      side: z.int().min(2).max(64),
      low: z.array(z.number()).min(1).max(MAX_CHANNELS),
      high: z.array(z.number()).min(1).max(MAX_CHANNELS),
    }),
  ]),
  mean: floatsSchema,
  axes: z.object({ count: z.int().min(1).max(MAX_AXES), values: floatsSchema }),
  centroids: z.object({ count: z.int().min(1).max(MAX_CENTROIDS), values: floatsSchema }),
  fourier: z.object({
    features: z.int().min(2).max(MAX_FOURIER).multipleOf(2),
    seed: z.int().min(0).max(0xffffffff),
    bandwidth: positive,
    spread: z.object({ trace: positive, square: positive, cube: positive }),
  }),
  measures: z
    .array(
      z.object({
        name: z.string().min(1).max(64),
        edges: z.array(z.number()).max(MAX_BINS - 1),
      }),
    )
    .min(1)
    .max(MAX_MEASURES),
});
export type TensorProfile = z.infer<typeof tensorProfileSchema>;

/** Where in a row the watched elements lie. */
export type TensorLayout =
  | { readonly kind: 'vector'; readonly elements: number }
  | {
      readonly kind: 'image';
      readonly order: 'channels-first' | 'channels-last';
      /** The image is read at `side` × `side` places. */
      readonly side: number;
      /** Smallest and largest value of each channel in the baseline. */
      readonly low: readonly number[];
      readonly high: readonly number[];
    };

/** How a whole tensor is watched: everything was learned from the baseline, and nothing of it changes afterwards. */
export interface WatchedTensor extends WatchedTensorSpec {
  /** Elements of the vector that a row is read into. */
  readonly width: number;
  readonly layout: TensorLayout;
  readonly mean: Float32Array;
  /** Principal axes, orthonormal, axis by axis: count × width. */
  readonly axes: Float32Array;
  /** In the coordinates of the axes: count × axes. */
  readonly centroids: Float32Array;
  readonly fourier: {
    readonly features: number;
    readonly seed: number;
    /** σ of the Gaussian kernel exp(−‖x − y‖² / 2σ²), in units of the vector. */
    readonly bandwidth: number;
    readonly spread: FourierSpread;
  };
  readonly measures: TensorGrid['measures'];
}

/** Throws `ProtocolError` 'profile' on arrays that do not fit each other. */
export function parseWatchedTensor(file: TensorProfile): WatchedTensor {
  const { name, side, kind, width, layout, fourier } = file;
  const floats = (what: string, text: string, count: number) =>
    floatsOf(`tensor "${name}", ${what}`, text, count);
  if (layout.kind === 'image' && layout.low.length !== layout.high.length) {
    throw invalid(`tensor "${name}": ${layout.low.length} low and ${layout.high.length} high ends`);
  }
  if ((kind === 'image') !== (layout.kind === 'image')) {
    throw invalid(`tensor "${name}" is an ${kind} with the layout of a ${layout.kind}`);
  }
  return {
    ...{ name, side, kind, width, layout, fourier },
    mean: floats('mean', file.mean, width),
    axes: floats('axes', file.axes.values, file.axes.count * width),
    centroids: floats('centroids', file.centroids.values, file.centroids.count * file.axes.count),
    measures: file.measures.map(({ name: measure, edges }) => {
      if (!edges.every((edge, at) => at === 0 || edges[at - 1] < edge)) {
        throw invalid(`tensor "${name}": edges of "${measure}" do not rise`);
      }
      return { name: measure, grid: { edges: Float64Array.from(edges) } };
    }),
  };
}

export function encodeWatchedTensor(watched: WatchedTensor): TensorProfile {
  const { name, side, kind, width, fourier } = watched;
  const layout =
    watched.layout.kind === 'vector'
      ? watched.layout
      : { ...watched.layout, low: [...watched.layout.low], high: [...watched.layout.high] };
  const axes = watched.axes.length / width;
  return {
    ...{ name, side, kind, width, layout, fourier },
    mean: textOf(watched.mean),
    axes: { count: axes, values: textOf(watched.axes) },
    centroids: { count: watched.centroids.length / axes, values: textOf(watched.centroids) },
    measures: watched.measures.map(({ name: measure, grid }) => ({
      name: measure,
      edges: Array.from(grid.edges),
    })),
  };
}

/** Where the windows of a version count this tensor. */
export function tensorGridOf(watched: WatchedTensor): TensorGrid {
  const { name, measures, fourier, centroids, axes, width } = watched;
  return {
    ...{ name, measures },
    fourier: fourier.features,
    centroids: centroids.length / (axes.length / width),
  };
}

function floatsOf(what: string, text: string, count: number): Float32Array {
  let bytes: Uint8Array;
  try {
    bytes = fromBase64(text);
  } catch (cause) {
    throw new ProtocolError('profile', `the profile's ${what} is not base64`, { cause });
  }
  if (bytes.length !== count * 4) {
    throw invalid(`${what}: ${bytes.length} bytes where ${count} float32 take ${count * 4}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const floats = Float32Array.from({ length: count }, (_, at) => view.getFloat32(at * 4, true));
  if (!floats.every(Number.isFinite)) throw invalid(`${what} holds a number that is not finite`);
  return floats;
}

function textOf(floats: Float32Array): string {
  const bytes = new Uint8Array(floats.length * 4);
  const view = new DataView(bytes.buffer);
  for (const [at, value] of floats.entries()) view.setFloat32(at * 4, value, true);
  return toBase64(bytes);
}

function invalid(what: string): ProtocolError {
  return new ProtocolError('profile', `the profile's ${what}`);
}
