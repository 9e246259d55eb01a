import { type Feature, type Manifest, rowWidth } from '../../../../protocol/manifest.ts';
import type { Profile } from '../../../../protocol/profile.ts';
import type { FeatureGrid, FeatureSketch } from '../../../../protocol/sketch/window.ts';
import { commonRows } from '../rows.ts';
import type { Tensor } from '../runtime.ts';

/** Rows drawn from the quantiles of the baseline; those at the edges of its histograms come on top. */
export const QUANTILE_ROWS = 256;
/** Below, at and above each edge, in float32: where a comparison that is off by one place shows. */
const ROWS_PER_EDGE = 3;
const SEED = 0x0d21f7;

/**
 * Rows that look like the baseline, of which a profile keeps histograms and no rows. Columns are drawn one by one:
 * `QUANTILE_ROWS` values at even steps of the feature's distribution, in an order of their own, then the values below,
 * at and above the edges of its bins; a category takes its values in turn. Where the baseline had values missing or
 * not finite, every sixteenth row has NaN. What no feature describes comes from the golden rows. The same for the same
 * documents. Null where nothing is described.
 */
export function baselineRows(
  manifest: Manifest,
  profile: Profile,
  golden: ReadonlyMap<string, Tensor>,
): Map<string, Tensor> | null {
  const goldenRows = commonRows(golden);
  if (profile.features.length === 0 || goldenRows === null || goldenRows === 0) return null;
  const edges = profile.features.map(({ grid }) =>
    grid.kind === 'numeric' ? grid.edges.length : 0,
  );
  const rows = QUANTILE_ROWS + ROWS_PER_EDGE * Math.max(...edges);
  const tensors = new Map<string, Tensor>();
  for (const [name, tensor] of golden) tensors.set(name, tiled(tensor, rows));
  const random = seeded(SEED);
  for (const [at, feature] of manifest.features.entries()) {
    const tensor = tensors.get(feature.tensor);
    const spec = manifest.inputs.find(({ name }) => name === feature.tensor);
    const width = spec === undefined ? null : rowWidth(spec.shape);
    if (tensor === undefined || width === null) continue;
    const grid = profile.features[at].grid;
    const values = columnOf(grid, profile.reference.features[at], rows, random);
    fill(tensor, feature, width, values);
  }
  return tensors;
}

function tiled({ datatype, shape, data }: Tensor, rows: number): Tensor {
  const [given, ...rest] = shape;
  const width = data.length / given;
  const at = (place: number) => data[place % (given * width)];
  const length = rows * width;
  if (Array.isArray(data)) {
    const texts = Array.from({ length }, (_, place) => String(at(place)));
    return { datatype, shape: [rows, ...rest], data: texts };
  }
  // All typed arrays have the same constructor, but the union of them has none that TypeScript could call.
  const copy = new (data.constructor as Float32ArrayConstructor)(length);
  for (let place = 0; place < length; place += 1) copy[place] = at(place) as number;
  return { datatype, shape: [rows, ...rest], data: copy };
}

type Column = readonly (number | string)[];

/** Of a hashed feature nobody knows the values. */
const UNKNOWN: Column = [];

function columnOf(
  grid: FeatureGrid,
  sketch: FeatureSketch,
  rows: number,
  random: () => number,
): Column {
  if (grid.kind === 'hashed' || sketch.kind === 'hashed') return UNKNOWN;
  if (grid.kind === 'categorical' || sketch.kind === 'categorical') {
    const values: Column = grid.kind === 'categorical' ? grid.values : [];
    const start = Math.floor(random() * values.length);
    return values.length === 0
      ? []
      : Array.from({ length: rows }, (_, row) => values[(start + row) % values.length]);
  }
  const { counts, moments } = sketch;
  if (moments.count === 0) return [];
  const order = shuffled(QUANTILE_ROWS, random);
  const hasGaps = sketch.missing + sketch.nonFinite > 0;
  return Array.from({ length: rows }, (_, row) => {
    if (hasGaps && row % 16 === 15) return Number.NaN;
    if (row >= QUANTILE_ROWS && grid.edges.length > 0) {
      const [edge, side] = [Math.floor((row - QUANTILE_ROWS) / ROWS_PER_EDGE), row % ROWS_PER_EDGE];
      return beside(grid.edges[edge % grid.edges.length], side - 1);
    }
    const share = (order[row % QUANTILE_ROWS] + random()) / QUANTILE_ROWS;
    return quantile(share, counts, grid.edges, moments);
  });
}

/** The value below which a share of the baseline lies, even within a bin. */
function quantile(
  share: number,
  counts: Float64Array,
  edges: Float64Array,
  { count, min, max }: { count: number; min: number; max: number },
): number {
  let left = share * count;
  let bin = 0;
  while (bin < counts.length - 1 && left > counts[bin]) {
    left -= counts[bin];
    bin += 1;
  }
  const low = bin === 0 ? min : Math.max(min, edges[bin - 1]);
  const high = bin === edges.length ? max : Math.min(max, edges[bin]);
  return low + (counts[bin] === 0 ? 0 : left / counts[bin]) * (high - low);
}

/** The float32 nearest to a value, or its neighbour below (-1) or above (1). */
function beside(value: number, side: number): number {
  const bits = new DataView(new ArrayBuffer(4));
  bits.setFloat32(0, value);
  const nearest = bits.getFloat32(0);
  if (side === 0 || nearest === 0 || !Number.isFinite(nearest)) return nearest;
  bits.setInt32(0, bits.getInt32(0) + (nearest > 0 ? side : -side));
  return bits.getFloat32(0);
}

function fill({ data }: Tensor, { index }: Feature, width: number, values: Column): void {
  for (const [row, value] of values.entries()) {
    const at = row * width + index;
    if (Array.isArray(data)) data[at] = String(value);
    else if (data instanceof BigInt64Array || data instanceof BigUint64Array) {
      if (Number.isFinite(Number(value))) data[at] = BigInt(Math.round(Number(value)));
    } else data[at] = Number(value);
  }
}

function shuffled(length: number, random: () => number): number[] {
  const order = Array.from({ length }, (_, at) => at);
  for (let at = length - 1; at > 0; at -= 1) {
    const other = Math.floor(random() * (at + 1));
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}

/** Numbers in [0, 1) (mulberry32): the same rows on every host and at every start. */
function seeded(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
