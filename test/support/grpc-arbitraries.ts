import fc from 'fast-check';
import { INFERENCE, type Message } from '../contract/oip/grpc-client.ts';
import { TEST_MODELS } from '../contract/oip/models.ts';

const MODELS = Object.keys(TEST_MODELS);
const DATATYPES = [
  'BOOL',
  'UINT8',
  'INT64',
  'UINT64',
  'FP16',
  'FP32',
  'FP64',
  'BYTES',
  'BF16',
  'X',
];

const parameter = fc.oneof(
  fc.record({ bool_param: fc.boolean() }),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((n) => ({ int64_param: String(n) })),
  fc.record({ string_param: fc.string() }),
  fc.record({ double_param: fc.double() }),
);
const names = fc.constantFrom('timeout', 'priority', 'shared_memory_region', '__proto__', '');
const parameters = fc.dictionary(names, parameter, { maxKeys: 3 });
const dimension = fc.oneof(
  fc.nat({ max: 4 }),
  fc.constantFrom('-1', String(2 ** 31 - 1), String(2 ** 31), String(2n ** 62n)),
);
const contents = fc.record(
  {
    bool_contents: fc.array(fc.boolean(), { maxLength: 4 }),
    int_contents: fc.array(fc.integer(), { maxLength: 4 }),
    int64_contents: fc.array(fc.maxSafeInteger(), { maxLength: 4 }),
    uint_contents: fc.array(fc.nat(), { maxLength: 4 }),
    fp32_contents: fc.array(fc.float(), { maxLength: 4 }),
    fp64_contents: fc.array(fc.double(), { maxLength: 4 }),
    bytes_contents: fc.array(
      fc.uint8Array({ maxLength: 5 }).map((each) => Buffer.from(each)),
      { maxLength: 4 },
    ),
  },
  { requiredKeys: [] },
);
const input = fc.record(
  {
    name: fc.constantFrom('x', 'a', 'b', 'c', '__proto__', 'X'),
    datatype: fc.constantFrom(...DATATYPES),
    shape: fc.array(dimension, { maxLength: 3 }),
    parameters,
    contents,
  },
  { requiredKeys: ['name', 'datatype', 'shape'] },
);
const request = fc.record(
  {
    model_name: fc.constantFrom(...MODELS, 'nope'),
    model_version: fc.constantFrom('', '', '1', '9'),
    id: fc.string(),
    parameters,
    inputs: fc.array(input, { maxLength: 4 }),
    outputs: fc.array(fc.record({ name: fc.constantFrom('x_out', 'a_out', 'y'), parameters }), {
      maxLength: 2,
    }),
    raw_input_contents: fc.array(
      fc.uint8Array({ maxLength: 24 }).map((each) => Buffer.from(each)),
      { maxLength: 3 },
    ),
  },
  { requiredKeys: ['model_name', 'inputs'] },
);
/** A request that is right, of one free dimension; what most damage is done to. */
const rightRequest = fc
  .record({
    datatype: fc.constantFrom('FP32', 'INT64', 'UINT8', 'FP64', 'BOOL', 'FP16'),
    count: fc.nat({ max: 5 }),
  })
  .map(({ datatype, count }): Message => {
    const width = { FP32: 4, INT64: 8, UINT8: 1, FP64: 8, BOOL: 1, FP16: 2 }[datatype] ?? 1;
    return {
      model_name: `id_${datatype.toLowerCase()}`,
      inputs: [{ name: 'x', datatype, shape: [count] }],
      raw_input_contents: [Buffer.alloc(count * width)],
    };
  });
/** A `ModelInferRequest`, right or nearly, as bytes. */
export const encoded = fc
  .oneof(rightRequest, request)
  .map((message) => Buffer.from(INFERENCE.ModelInfer.requestSerialize(message)));

export const changes = fc.array(
  fc.record({
    place: fc.nat(),
    what: fc.constantFrom('change', 'drop', 'double'),
    byte: fc.nat({ max: 255 }),
  }),
  { maxLength: 4 },
);
export type Changes = readonly { place: number; what: string; byte: number }[];

/** Bytes with a few of them changed, dropped or doubled. */
export function damaged(bytes: Buffer, damage: Changes): Buffer {
  let out = bytes;
  for (const { place, what, byte } of damage) {
    if (out.length === 0) break;
    const at = place % out.length;
    const middle = what === 'drop' ? [] : what === 'double' ? [out[at], out[at]] : [byte];
    out = Buffer.concat([out.subarray(0, at), Buffer.from(middle), out.subarray(at + 1)]);
  }
  return out;
}
