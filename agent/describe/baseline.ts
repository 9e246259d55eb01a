import type { Feature } from '../../protocol/manifest.ts';
import type { TensorSpec } from '../../protocol/tensor.ts';
import { elementCount, showShape } from '../../protocol/tensor.ts';
import type { Tensor } from '../engine/model/runtime.ts';
import { TensorValueError, toTensorData } from '../engine/model/tensor-data.ts';
import { AgentError } from '../error.ts';
import type { CsvTable } from './csv.ts';

/** Rows that go through the model at once, and numbers in them: of images, fewer. */
const CHUNK_ROWS = 1024;
const CHUNK_NUMBERS = 1024 * 1024;

/** Rows that a model was given in the past, in whatever file they are kept. */
export interface Baseline {
  readonly rows: number;
  /** What is known of each row by name: features, groups, the label. A file of tensors has no columns. */
  readonly table: CsvTable;
  /** Numbers of a row, all inputs together. */
  readonly width: number;
  /** Rows `from` to `to` as the model's inputs. Throws `AgentError` 'configuration'. */
  inputs(from: number, to: number): Map<string, Tensor>;
}

export interface BaselineChunk {
  readonly inputs: Map<string, Tensor>;
  readonly rows: number;
}

/** All rows in order, as many at once as the model takes and memory shall hold. Throws as `Baseline.inputs` does. */
export function* baselineChunks(
  { rows, width, inputs }: Baseline,
  specs: readonly TensorSpec[],
): Generator<BaselineChunk> {
  const free = specs.every(({ shape }) => shape[0] === -1);
  const size = free ? Math.min(CHUNK_ROWS, Math.max(1, Math.floor(CHUNK_NUMBERS / width))) : 1;
  for (let from = 0; from < rows; from += size) {
    const to = Math.min(from + size, rows);
    yield { inputs: inputs(from, to), rows: to - from };
  }
}

/** A row of the table for each row, with a column for each feature. */
export function tableBaseline(
  table: CsvTable,
  features: readonly Feature[],
  inputs: readonly TensorSpec[],
): Baseline {
  return {
    rows: table.rows.length,
    table,
    width: Math.max(1, features.length),
    inputs: (from, to) => baselineInputs(table, features, inputs, from, to),
  };
}

/**
 * Rows `from` to `to` of a baseline as the model's inputs. Throws `AgentError` 'configuration' that names the
 * column, the row and the value that is not what the tensor takes.
 */
function baselineInputs(
  table: CsvTable,
  features: readonly Feature[],
  inputs: readonly TensorSpec[],
  from: number,
  to: number,
): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const spec of inputs) {
    const shape = spec.shape.map((dimension, at) =>
      at === 0 && dimension === -1 ? to - from : dimension,
    );
    if (shape.includes(-1)) {
      throw new AgentError(
        'configuration',
        `input "${spec.name}" ${showShape(spec.shape)} has a free dimension besides the first, so a row of a CSV can't fill it; give the rows as a .npy file, or push without --baseline`,
      );
    }
    const values: unknown[] = new Array(elementCount(shape));
    const width = values.length / (to - from);
    fill(
      values,
      width,
      table,
      features.filter((f) => f.tensor === spec.name),
      spec,
      from,
      to,
    );
    try {
      const data = toTensorData(spec.datatype, values, `baseline for input "${spec.name}"`);
      tensors.set(spec.name, { datatype: spec.datatype, shape, data });
    } catch (cause) {
      if (cause instanceof TensorValueError) throw new AgentError('configuration', cause.message);
      throw cause;
    }
  }
  return tensors;
}

function fill(
  values: unknown[],
  width: number,
  table: CsvTable,
  features: readonly Feature[],
  spec: TensorSpec,
  from: number,
  to: number,
): void {
  const missing = Array.from({ length: width }, (_, index) => index).filter(
    (index) => !features.some((feature) => feature.index === index),
  );
  if (missing.length > 0) {
    throw new AgentError(
      'configuration',
      `input "${spec.name}" has no feature for index ${missing.slice(0, 5).join(', ')}; list every value of a row in "features"`,
    );
  }
  for (const feature of features) {
    const column = table.columns.indexOf(feature.name);
    if (column === -1) {
      throw new AgentError(
        'configuration',
        `the baseline has no column "${feature.name}"; it has ${table.columns.join(', ')}`,
      );
    }
    for (let row = from; row < to; row += 1) {
      values[(row - from) * width + feature.index] = cellValue(
        table.rows[row][column],
        spec,
        feature,
        row,
      );
    }
  }
}

function cellValue(text: string, spec: TensorSpec, feature: Feature, row: number): unknown {
  if (spec.datatype === 'BYTES') return text;
  if (spec.datatype === 'BOOL') return text === '1' || text.toLowerCase() === 'true';
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) {
    throw new AgentError(
      'configuration',
      `baseline row ${row + 1}, column "${feature.name}": "${text.slice(0, 40)}" is not a number, and input "${spec.name}" takes ${spec.datatype}`,
    );
  }
  return value;
}
