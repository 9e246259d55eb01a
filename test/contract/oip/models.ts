import type { Datatype, TensorSpec } from '../../../protocol/tensor.ts';

/**
 * The models that a server under test must serve, by name, each as version 1. Every output is the input of the same
 * name with `_out` behind it, unchanged. To point the suite at another server, write `buildModel(identityModel(inputs))`
 * of each (test/support/onnx-builder.ts) into its repository and set OIP_URL.
 */
export const TEST_MODELS: Readonly<Record<string, readonly TensorSpec[]>> = {
  ...Object.fromEntries(
    (
      [
        'BOOL',
        'UINT8',
        'UINT16',
        'UINT32',
        'UINT64',
        'INT8',
        'INT16',
        'INT32',
        'INT64',
        'FP16',
        'FP32',
        'FP64',
        'BYTES',
      ] as const satisfies readonly Datatype[]
    ).map((datatype) => [identityName(datatype), [{ name: 'x', datatype, shape: [-1] }]]),
  ),
  matrix: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
  free: [{ name: 'x', datatype: 'FP32', shape: [-1, -1] }],
  scalar: [{ name: 'x', datatype: 'FP32', shape: [] }],
  triple: [
    { name: 'a', datatype: 'FP32', shape: [-1] },
    { name: 'b', datatype: 'INT64', shape: [-1] },
    { name: 'c', datatype: 'BYTES', shape: [-1] },
  ],
};

/** The model that gives a vector of this datatype back. */
export function identityName(datatype: Datatype): string {
  return `id_${datatype.toLowerCase()}`;
}

export interface Sample {
  readonly datatype: Datatype;
  readonly count: number;
  /** `data` as JSON text, because a JavaScript number cannot hold every INT64; null where there is no JSON form. */
  readonly json: string | null;
  readonly bytes: Buffer;
}

const bytesOf = (view: ArrayBufferView) =>
  Buffer.from(view.buffer, view.byteOffset, view.byteLength);

function sample(
  datatype: Datatype,
  count: number,
  json: string | null,
  view: ArrayBufferView,
): Sample {
  return { datatype, count, json, bytes: bytesOf(view) };
}

/** The extremes of each datatype, in both forms. */
export const SAMPLES: readonly Sample[] = [
  sample('BOOL', 3, '[true,false,true]', Uint8Array.of(1, 0, 1)),
  sample('UINT8', 3, '[0,1,255]', Uint8Array.of(0, 1, 255)),
  sample('UINT16', 3, '[0,1,65535]', Uint16Array.of(0, 1, 65535)),
  sample('UINT32', 3, '[0,1,4294967295]', Uint32Array.of(0, 1, 4294967295)),
  sample(
    'UINT64',
    4,
    '[0,9007199254740991,9007199254740993,18446744073709551615]',
    BigUint64Array.of(0n, 2n ** 53n - 1n, 2n ** 53n + 1n, 2n ** 64n - 1n),
  ),
  sample('INT8', 3, '[-128,0,127]', Int8Array.of(-128, 0, 127)),
  sample('INT16', 3, '[-32768,0,32767]', Int16Array.of(-32768, 0, 32767)),
  sample('INT32', 3, '[-2147483648,0,2147483647]', Int32Array.of(-(2 ** 31), 0, 2 ** 31 - 1)),
  sample(
    'INT64',
    5,
    '[-9223372036854775808,-9007199254740993,0,9007199254740993,9223372036854775807]',
    BigInt64Array.of(-(2n ** 63n), -(2n ** 53n) - 1n, 0n, 2n ** 53n + 1n, 2n ** 63n - 1n),
  ),
  sample('FP16', 4, null, Uint16Array.of(0x3c00, 0x8000, 0x0001, 0x7bff)),
  sample(
    'FP32',
    6,
    '[-0,1.5,1.401298464324817e-45,3.4028234663852886e+38,-3.4028234663852886e+38,0.10000000149011612]',
    Float32Array.of(-0, 1.5, 2 ** -149, 3.4028234663852886e38, -3.4028234663852886e38, 0.1),
  ),
  sample(
    'FP64',
    5,
    '[-0,5e-324,1.7976931348623157e+308,-1.7976931348623157e+308,0.1]',
    Float64Array.of(-0, 5e-324, Number.MAX_VALUE, -Number.MAX_VALUE, 0.1),
  ),
  {
    datatype: 'BYTES',
    count: 3,
    json: '["","é😀","\\ufeffa"]',
    bytes: byteStrings('', 'é😀', '\ufeffa'),
  },
];

/** Elements of BYTES as they travel: each behind its length, a little-endian u32. */
export function byteStrings(...elements: (string | Buffer)[]): Buffer {
  return Buffer.concat(
    elements.flatMap((element) => {
      const bytes = Buffer.from(element);
      const length = Buffer.alloc(4);
      length.writeUInt32LE(bytes.length);
      return [length, bytes];
    }),
  );
}
