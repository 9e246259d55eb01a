import { DDSketch } from '@datadog/sketches-js';
import { BitReader } from '../../protocol/sketch/bit-reader.ts';
import { BitWriter } from '../../protocol/sketch/bit-writer.ts';
import { ByteReader } from '../../protocol/sketch/byte-reader.ts';
import { ByteWriter } from '../../protocol/sketch/byte-writer.ts';
import { readCompactFeature, writeCompactFeature } from '../../protocol/sketch/compact-feature.ts';
import { writeCounts } from '../../protocol/sketch/counts-codec.ts';
import { gridFromReference, MAX_BINS } from '../../protocol/sketch/grid.ts';
import {
  addNumeric,
  emptyNumeric,
  mergeNumeric,
  type NumericSketch,
} from '../../protocol/sketch/histogram.ts';
import { kolmogorovSmirnov } from '../../protocol/statistics/kolmogorov-smirnov.ts';
import { psi } from '../../protocol/statistics/psi.ts';
import { wasserstein } from '../../protocol/statistics/wasserstein.ts';
import { seeded } from '../../test/support/random-models.ts';
import { machineLine, quartiles, table } from '../support/report.ts';

/**
 * Bins anchored in the reference with a sum each, against one fine log-linear grid on z-scores for all, and against a
 * DDSketch on z-scores: how far PSI, KS and Wasserstein-1 of ten merged hosts are from those of the raw rows, for how many bytes.
 * The truth of PSI is on the reference's own bins, each atom one of them; of KS and Wasserstein over all rows.
 */
const REFERENCE_ROWS = 20_000;
const ROWS = 5_000;
const HOSTS = 10;
const SHIFTS = [0, 0.1, 0.3];
const SEEDS = process.argv.includes('--quick') ? 3 : 25;
const DD_ACCURACY = 0.02;

type Draw = (random: () => number, shift: number) => number;
const normal = (random: () => number) =>
  Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());

const DISTRIBUTIONS: Readonly<Record<string, Draw>> = {
  normal: (random, shift) => normal(random) + shift,
  'normal at 300 ± 5': (random, shift) => 300 + 5 * (normal(random) + shift),
  lognormal: (random, shift) => Math.exp(normal(random) + shift),
  integers: (random, shift) => Math.round(20 + 5 * (normal(random) + shift)),
  'atoms + mix': (random, shift) => {
    const u = random();
    if (u < 0.3 - shift / 4) return 0;
    if (u < 0.4) return 1.5;
    return u < 0.7 ? normal(random) + shift : 4 + 2 * normal(random);
  },
};

/** What an estimator says of a reference and of the rows of ten hosts, and the bytes of one host's. */
interface Estimate {
  readonly psi: number;
  readonly ks: number;
  readonly w1: number;
  readonly bytes: number;
}

type Estimator = (
  reference: Float64Array,
  parts: readonly Float64Array[],
  edges: Float64Array,
) => Estimate;

/** Ours: as it is written, read and merged. */
function anchored(bins: number): Estimator {
  return (reference, parts) => {
    const grid = gridFromReference(reference, bins);
    const before = emptyNumeric(grid);
    for (const x of reference) addNumeric(before, grid, x);
    const now = emptyNumeric(grid);
    let bytes = 0;
    for (const part of parts) {
      const sketch = emptyNumeric(grid);
      for (const x of part) addNumeric(sketch, grid, x);
      const writer = new ByteWriter();
      const bits = new BitWriter(writer);
      writeCompactFeature(bits, sketch, 'x');
      bits.end();
      bytes += writer.written().length / parts.length;
      const reader = new BitReader(new ByteReader(writer.written()));
      const read = readCompactFeature(reader, MAX_BINS, 'x');
      if (read.kind === 'numeric') mergeNumeric(now, read);
    }
    return {
      psi: psi(before.counts, now.counts),
      ks: kolmogorovSmirnov(before.counts, now.counts).statistic,
      w1: wasserstein(before, now),
      bytes,
    };
  };
}

/** Cells of z by the upper bits of its float32: `mantissa` bits of it, so 2^mantissa cells to an octave. */
function cellsOf(mantissa: number): { of: (z: number) => number; at: (cell: number) => number } {
  const single = new Float32Array(1);
  const bits = new Uint32Array(single.buffer);
  const shift = 23 - mantissa;
  return {
    of(z) {
      // Below a thousandth of σ nothing is told apart: else zeros would spread over a hundred octaves.
      single[0] = Math.abs(z) < 1e-3 ? 0 : z;
      return bits[0] >>> shift;
    },
    at(cell) {
      bits[0] = cell << shift;
      if (single[0] === 0) return 0;
      bits[0] |= 1 << (shift - 1);
      return single[0];
    },
  };
}

function momentsOf(values: Float64Array): { mean: number; sigma: number } {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, sigma: Math.sqrt(squares / values.length) };
}

/** A value of z and how many rows stand there. */
type Masses = Map<number, number>;

function fine(mantissa: number): Estimator {
  const cells = cellsOf(mantissa);
  return (reference, parts, edges) => {
    const { mean, sigma } = momentsOf(reference);
    const count = (values: Float64Array): Float64Array => {
      const counts = new Float64Array(2 ** (9 + mantissa));
      for (const x of values) counts[cells.of((x - mean) / sigma)] += 1;
      return counts;
    };
    const before = count(reference);
    const now = new Float64Array(before.length);
    let bytes = 0;
    for (const part of parts) {
      const counts = count(part);
      const writer = new ByteWriter();
      writeCounts(writer, counts, 'x');
      bytes += (writer.written().length + MOMENT_BYTES) / parts.length;
      for (let k = 0; k < now.length; k += 1) now[k] += counts[k];
    }
    const massesOf = (counts: Float64Array): Masses => {
      const masses: Masses = new Map();
      for (const [cell, rows] of counts.entries()) {
        const z = cells.at(cell);
        if (rows > 0) masses.set(z, (masses.get(z) ?? 0) + rows);
      }
      return masses;
    };
    return { ...compare(massesOf(before), massesOf(now), edges, mean, sigma), bytes };
  };
}

/** Mean, m2, min and max stand beside every sketch. */
const MOMENT_BYTES = 32;

/** The library's own sketch; its bytes are its counts written as ours are: its protobuf would be larger. */
const ddSketch: Estimator = (reference, parts, edges) => {
  const { mean, sigma } = momentsOf(reference);
  const sketchOf = (values: Float64Array): DDSketch => {
    const sketch = new DDSketch({ relativeAccuracy: DD_ACCURACY });
    for (const x of values) sketch.accept((x - mean) / sigma);
    return sketch;
  };
  const now = new DDSketch({ relativeAccuracy: DD_ACCURACY });
  let bytes = 0;
  for (const part of parts) {
    const sketch = sketchOf(part);
    const writer = new ByteWriter();
    for (const { bins } of [sketch.store, sketch.negativeStore]) {
      writeCounts(writer, Float64Array.from(bins), 'x');
    }
    bytes += (writer.written().length + MOMENT_BYTES) / parts.length;
    const first = now.count === 0;
    now.merge(sketch);
    // `merge` of 2.1.1 leaves what is below 0 out, unless it is the first.
    if (!first) now.negativeStore.merge(sketch.negativeStore);
  }
  const massesOf = ({ store, negativeStore, zeroCount, mapping }: DDSketch): Masses => {
    const masses: Masses = new Map(zeroCount > 0 ? [[0, zeroCount]] : []);
    for (const [k, rows] of store.bins.entries()) {
      if (rows > 0) masses.set(mapping.value(k + store.offset), rows);
    }
    for (const [k, rows] of negativeStore.bins.entries()) {
      if (rows > 0) masses.set(-mapping.value(k + negativeStore.offset), rows);
    }
    return masses;
  };
  const [before, after] = [massesOf(sketchOf(reference)), massesOf(now)];
  return { ...compare(before, after, edges, mean, sigma), bytes };
};

function exact(reference: Float64Array, rows: Float64Array, edges: Float64Array): Estimate {
  const massesOf = (values: Float64Array): Masses => {
    const masses: Masses = new Map();
    for (const x of values) masses.set(x, (masses.get(x) ?? 0) + 1);
    return masses;
  };
  const { w1, ...rest } = compare(massesOf(reference), massesOf(rows), edges, 0, 1);
  return { ...rest, w1: w1 / momentsOf(reference).sigma, bytes: 8 * rows.length };
}

/** PSI on the bins of `edges`; KS and W1 between the masses themselves. */
function compare(before: Masses, now: Masses, edges: Float64Array, mean: number, sigma: number) {
  const total = (masses: Masses) => [...masses.values()].reduce((sum, rows) => sum + rows, 0);
  const [m, n] = [total(before), total(now)];
  const steps = [
    ...[...before].map(([at, rows]) => ({ at, gap: rows / m })),
    ...[...now].map(([at, rows]) => ({ at, gap: -rows / n })),
  ].sort((a, b) => a.at - b.at);
  let [gap, ks, w1] = [0, 0, 0];
  for (const [k, step] of steps.entries()) {
    if (k > 0 && step.at > steps[k - 1].at) {
      ks = Math.max(ks, Math.abs(gap));
      w1 += Math.abs(gap) * (step.at - steps[k - 1].at);
    }
    gap += step.gap;
  }
  const grid = { edges };
  const binned = (masses: Masses): NumericSketch => {
    const sketch = emptyNumeric(grid);
    for (const [z, rows] of masses) {
      const x = z * sigma + mean;
      sketch.counts[edges.filter((edge) => edge <= x).length] += rows;
    }
    return sketch;
  };
  return { psi: psi(binned(before).counts, binned(now).counts), ks, w1 };
}

const ESTIMATORS: Readonly<Record<string, Estimator>> = {
  'bins of the reference 32 + sums': anchored(32),
  'bins of the reference 64 + sums': anchored(64),
  'fine grid on z, 32 to an octave': fine(5),
  'fine grid on z, 16 to an octave': fine(4),
  'fine grid on z, 8 to an octave': fine(3),
  'DDSketch on z, 2 %': ddSketch,
};

function rowsOf(draw: Draw, count: number, random: () => number, shift: number): Float64Array {
  return Float64Array.from({ length: count }, () => Math.fround(draw(random, shift)));
}

process.stdout.write(`${machineLine({ server: null, load: null })}\n`);
process.stdout.write(`reference ${REFERENCE_ROWS}, ${ROWS} rows of ${HOSTS} hosts; shifts `);
process.stdout.write(`${SHIFTS.join(', ')} σ; ${SEEDS} seeds; 95th percentile of |error|\n\n`);
const lines = [['rows', 'sketch', 'PSI', 'KS', 'W1/σ', 'bytes a host']];
for (const [name, draw] of Object.entries(DISTRIBUTIONS)) {
  const found = Object.keys(ESTIMATORS).map(() => ({
    ...{ psi: [] as number[], ks: [] as number[], w1: [] as number[], bytes: [] as number[] },
  }));
  for (const shift of SHIFTS) {
    for (let seed = 0; seed < SEEDS; seed += 1) {
      const random = seeded(1 + seed);
      const reference = rowsOf(draw, REFERENCE_ROWS, random, 0);
      const rows = rowsOf(draw, ROWS, random, shift);
      const parts = Array.from({ length: HOSTS }, (_, host) =>
        rows.subarray((host * ROWS) / HOSTS, ((host + 1) * ROWS) / HOSTS),
      );
      const { edges } = gridFromReference(reference);
      const truth = exact(reference, rows, edges);
      for (const [at, estimator] of Object.values(ESTIMATORS).entries()) {
        const estimate = estimator(reference, parts, edges);
        for (const what of ['psi', 'ks', 'w1'] as const) {
          found[at][what].push(Math.abs(estimate[what] - truth[what]));
        }
        found[at].bytes.push(estimate.bytes);
      }
    }
  }
  for (const [at, sketch] of Object.keys(ESTIMATORS).entries()) {
    const p95 = (values: readonly number[]) =>
      Float64Array.from(values).sort()[Math.floor(0.95 * (values.length - 1))].toFixed(4);
    const { psi: psis, ks, w1, bytes } = found[at];
    const size = quartiles(bytes).median.toFixed(0);
    lines.push([name, sketch, p95(psis), p95(ks), p95(w1), size]);
  }
}
process.stdout.write(`${table(lines)}\n`);
