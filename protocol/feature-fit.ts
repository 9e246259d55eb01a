import { ProtocolError } from './error.ts';
import type { FeatureLookup, LookupColumn } from './feature-lookup.ts';
import { elementOf } from './feature-value.ts';
import { rowWidth } from './manifest.ts';
import { showShape, type TensorSpec } from './tensor.ts';

/**
 * What a request gives in place of the model's own inputs: a tensor [rows] for each entity, and every input that
 * columns don't cover wholly, as the model takes it. Throws `ProtocolError` 'features' when a lookup and a model don't
 * fit together.
 */
export function askedInputs(inputs: readonly TensorSpec[], lookup: FeatureLookup): TensorSpec[] {
  const columns = new Map<string, LookupColumn[]>();
  for (const column of lookup.columns) {
    checkColumn(column, inputs);
    columns.set(column.tensor, [...(columns.get(column.tensor) ?? []), column]);
  }
  const kept = inputs.filter(
    ({ name, shape }) => (columns.get(name)?.length ?? 0) !== rowWidth(shape),
  );
  for (const { name } of lookup.entities) {
    if (kept.some((spec) => spec.name === name)) {
      throw misfit(`entity "${name}" has the name of an input that a request still gives`);
    }
  }
  const entities = lookup.entities.map(({ name, datatype }) => ({ name, datatype, shape: [-1] }));
  return [...entities, ...kept];
}

function checkColumn(column: LookupColumn, inputs: readonly TensorSpec[]): void {
  const { feature, tensor, index } = column;
  const spec = inputs.find(({ name }) => name === tensor);
  if (spec === undefined) {
    const known = inputs.map(({ name }) => `"${name}"`).join(', ');
    throw misfit(`"${feature}" goes into "${tensor}", but the model's inputs are ${known}`);
  }
  const { datatype, shape } = spec;
  if (datatype === 'FP16' || datatype === 'BF16') {
    throw misfit(`"${feature}" goes into "${tensor}", which is ${datatype}: that is not fetched`);
  }
  const width = rowWidth(shape);
  if (shape.length === 0 || width === null) {
    throw misfit(
      `"${feature}" goes into "${tensor}" ${showShape(shape)}, whose rows have no fixed length`,
    );
  }
  if (index >= width) {
    throw misfit(
      `"${feature}" goes to index ${index} of "${tensor}" ${showShape(shape)}, which has ${width} values in a row`,
    );
  }
  const fallback = column.default;
  if (fallback !== undefined && elementOf(datatype, fallback) === null) {
    throw misfit(
      `the default ${JSON.stringify(fallback)} of "${feature}" is no ${datatype}, which "${tensor}" takes`,
    );
  }
}

function misfit(what: string): ProtocolError {
  return new ProtocolError('features', `the feature lookup does not fit the model: ${what}`);
}
