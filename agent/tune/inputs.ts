import type { Manifest } from '../../protocol/manifest.ts';
import { syntheticRow, type Tensors } from '../engine/model/rows.ts';
import type { TensorData } from '../engine/model/runtime.ts';

/**
 * So many rows of a version whose first dimensions are free: its golden rows, again and again, or zeros and empty texts
 * where it has none. Times of most operators do not depend on values; those of trees and lookups do.
 */
export function repeatedRows(manifest: Manifest, golden: Tensors | null, rows: number): Tensors {
  const inputs = manifest.inputs.map((input) => ({
    ...input,
    shape: [rows, ...(golden?.get(input.name)?.shape ?? input.shape).slice(1)],
  }));
  const tensors = syntheticRow({ ...manifest, inputs });
  for (const [name, { data }] of tensors) {
    const source = golden?.get(name)?.data;
    if (source !== undefined && source.length > 0) fill(data, source);
  }
  return tensors;
}

/** Arrays of one datatype are of one kind, which the compiler can't see. */
function fill(data: TensorData, source: TensorData): void {
  const [into, from] = [data as Float64Array, source as Float64Array];
  for (let at = 0; at < into.length; at += 1) into[at] = from[at % from.length] ?? 0;
}

/** Rows of one call: what was asked for, or a version's own fixed batch. */
export function rowsInCall(inputs: Tensors): number {
  const [first] = inputs.values();
  return Math.max(1, first?.shape[0] ?? 1);
}
