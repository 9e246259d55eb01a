import { z } from 'zod';
import { datatypeSchema } from '../../../protocol/tensor.ts';
import { Refusal } from '../../error.ts';
import { executorRecordSchema } from './executor/executor-record.ts';
import type { Session, Tensor } from './runtime.ts';
import { toTensorData } from './tensor-data.ts';

const tensorSchema = z.object({
  name: z.string(),
  datatype: datatypeSchema,
  shape: z.array(z.int().min(0)),
  data: z.array(z.union([z.number(), z.string(), z.boolean()])),
});

const goldenSchema = z.object({
  schema: z.literal(1),
  /** |got - expected| <= absolute + relative * |expected|, as numpy.allclose. */
  tolerance: z.object({ absolute: z.number().min(0), relative: z.number().min(0) }),
  inputs: z.array(tensorSchema),
  outputs: z.array(tensorSchema),
  /** Absent in versions that were described before there was one. */
  executor: executorRecordSchema.optional(),
});
export type Golden = z.infer<typeof goldenSchema>;
export type GoldenTensor = z.infer<typeof tensorSchema>;

/** Large enough for any provider's rounding, small enough to catch a wrong kernel. */
export const DEFAULT_TOLERANCE = { absolute: 1e-5, relative: 1e-4 };

export function parseGolden(bytes: Uint8Array): Golden {
  try {
    return goldenSchema.parse(JSON.parse(new TextDecoder().decode(bytes)));
  } catch (cause) {
    throw new Refusal('manifest-invalid', 'the golden vectors are not valid JSON of schema 1', {
      cause,
    });
  }
}

export function goldenInputs(golden: Golden): Map<string, Tensor> {
  const inputs = new Map<string, Tensor>();
  for (const { name, datatype, shape, data } of golden.inputs) {
    inputs.set(name, { datatype, shape, data: toTensorData(datatype, data, `golden "${name}"`) });
  }
  return inputs;
}

/**
 * Runs the golden inputs on this host's provider; throws `Refusal` 'golden-mismatch' that names the first
 * value outside the tolerance. Warms the session up on the way.
 */
export async function checkGolden(session: Session, golden: Golden): Promise<void> {
  const outputs = await session.run(goldenInputs(golden));
  for (const expected of golden.outputs) {
    const got = outputs.get(expected.name);
    if (got === undefined || got.data.length !== expected.data.length) {
      throw new Refusal(
        'golden-mismatch',
        `golden output "${expected.name}": expected ${expected.data.length} values, got ${got?.data.length ?? 'none'}`,
      );
    }
    compare(expected, got, golden.tolerance);
  }
}

function compare(expected: GoldenTensor, got: Tensor, tolerance: Golden['tolerance']): void {
  for (const [at, want] of expected.data.entries()) {
    const have = got.data[at];
    const same = withinTolerance(have, want, tolerance);
    if (!same) {
      throw new Refusal(
        'golden-mismatch',
        `golden output "${expected.name}"[${at}] is ${have} here, ${want} when the version was made (tolerance ${tolerance.absolute} + ${tolerance.relative} relative)`,
      );
    }
  }
}

type Element = number | bigint | string | boolean;

/** Texts are equal; numbers as close as the tolerance says. NaN is close to nothing. */
export function withinTolerance(
  have: Element | undefined,
  want: Element,
  { absolute, relative }: Golden['tolerance'],
): boolean {
  if (typeof want === 'string') return String(have) === want;
  const expected = Number(want);
  return Math.abs(Number(have) - expected) <= absolute + relative * Math.abs(expected);
}

export function goldenTensor(name: string, tensor: Tensor): GoldenTensor {
  const data = Array.from(tensor.data as ArrayLike<number | bigint | string>, (value) => {
    if (typeof value === 'bigint') return String(value);
    return tensor.datatype === 'BOOL' ? value !== 0 : value;
  });
  return { name, datatype: tensor.datatype, shape: [...tensor.shape], data };
}
