import type { Session, Tensor } from '../runtime.ts';
import type { CompiledModel } from './compiled-model.ts';

/** |ours - reference| <= tolerance + tolerance * |reference|; labels have to be equal. */
export const EXECUTOR_TOLERANCE = 1e-6;

export type Agreement =
  | { readonly kind: 'agrees'; readonly values: number; readonly largestDifference: number }
  /** `sample`: which of them, from 0; -1 where there was none. */
  | { readonly kind: 'differs'; readonly sample: number; readonly reason: string };

/**
 * Runs every sample on both and compares all outputs. A model may be executed here only where this agrees on the
 * golden and the baseline rows; without samples it never does. The reference's own errors are thrown on.
 */
export async function agrees(
  compiled: CompiledModel,
  reference: Session,
  samples: Iterable<ReadonlyMap<string, Tensor>>,
  tolerance = EXECUTOR_TOLERANCE,
): Promise<Agreement> {
  let values = 0;
  let largestDifference = 0;
  let at = -1;
  for (const sample of samples) {
    at += 1;
    const expected = await reference.run(sample);
    const got = compiled.runSync(sample);
    for (const [name, want] of expected) {
      const have = got.get(name);
      const result = compareTensors(want, have, tolerance);
      if (typeof result === 'string') {
        return { kind: 'differs', sample: at, reason: `output "${name}": ${result}` };
      }
      values += want.data.length;
      largestDifference = Math.max(largestDifference, result);
    }
  }
  if (values === 0) return { kind: 'differs', sample: at, reason: 'there was nothing to compare' };
  return { kind: 'agrees', values, largestDifference };
}

/** The largest difference, or where and how the tensors disagree. */
function compareTensors(
  want: Tensor,
  have: Tensor | undefined,
  tolerance: number,
): number | string {
  if (have === undefined) return 'not made by the executor';
  if (have.datatype !== want.datatype || have.shape.join() !== want.shape.join()) {
    return `${have.datatype} [${have.shape}] here, ${want.datatype} [${want.shape}] by the reference`;
  }
  let largest = 0;
  for (let at = 0; at < want.data.length; at += 1) {
    const expected = want.data[at];
    const got = have.data[at];
    if (Object.is(expected, got) || expected === got) continue;
    const difference =
      typeof expected === 'number' && typeof got === 'number' ? Math.abs(got - expected) : NaN;
    // An infinite tolerance, of an infinite value, allows nothing but that value.
    if (
      !Number.isFinite(difference) ||
      !(difference <= tolerance + tolerance * Math.abs(Number(expected)))
    ) {
      return `value ${at} is ${got} here, ${expected} by the reference (tolerance ${tolerance})`;
    }
    largest = Math.max(largest, difference);
  }
  return largest;
}
