import { describe, expect, it } from 'vitest';
import { toInferRequest } from '../../../../agent/engine/serve/grpc/infer-decode.ts';
import { readInferMessage } from '../../../../agent/engine/serve/grpc/infer-message.ts';
import { MAX_FIELDS } from '../../../../agent/engine/serve/grpc/proto-reader.ts';
import { readContents } from '../../../../agent/engine/serve/grpc/typed-contents.ts';
import { parseInferRequest } from '../../../../agent/engine/serve/infer-request.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import { MAX_STRING_ELEMENTS } from '../../../../protocol/limits.ts';
import type { Datatype } from '../../../../protocol/tensor.ts';
import { manifestOf } from '../../../protocol/documents.ts';
import { block, repeated, varint } from '../../../support/grpc-bytes.ts';

const taking = (datatype: Datatype) =>
  manifestOf({ inputs: [{ name: 'x', datatype, shape: [-1] }], features: [] });

function refusal(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    if (error instanceof OipError && error.code === 'bad_request') return error.message;
    throw error;
  }
  return 'accepted';
}

/** One message for `x`; `contents` typed, or raw. */
function message(datatype: Datatype, count: number, from: { typed?: Buffer; raw?: Buffer }) {
  const { typed, raw } = from;
  const about = [block(1, 'x'), block(2, datatype), block(3, varint(count))];
  const input = Buffer.concat([...about, ...(typed === undefined ? [] : [block(5, typed)])]);
  return Buffer.concat([block(5, input), ...(raw === undefined ? [] : [block(7, raw)])]);
}
const infer = (datatype: Datatype, bytes: Buffer) =>
  toInferRequest(readInferMessage(bytes), taking(datatype));

/** The same request of `count` empty strings in every form that carries BYTES. */
const FORMS: [string, (count: number) => unknown][] = [
  ['JSON', (count) => parseBytes(count, { data: new Array(count).fill('') }, null)],
  [
    'binary',
    (count) =>
      parseBytes(count, { parameters: { binary_data_size: 4 * count } }, Buffer.alloc(4 * count)),
  ],
  [
    'gRPC raw',
    (count) => infer('BYTES', message('BYTES', count, { raw: Buffer.alloc(4 * count) })),
  ],
  [
    'gRPC typed',
    (count) => infer('BYTES', message('BYTES', count, { typed: repeated([0x42, 0], count) })),
  ],
];

function parseBytes(count: number, values: object, rest: Buffer | null) {
  const inputs = [{ name: 'x', shape: [count], datatype: 'BYTES', ...values }];
  const json = Buffer.from(JSON.stringify({ inputs }));
  const body = rest === null ? json : Buffer.concat([json, rest]);
  return parseInferRequest(body, rest === null ? null : json.length, taking('BYTES'));
}

describe('LIMIT-11: elements of a BYTES tensor', () => {
  it.each(FORMS)('are at most 1,000,000 in %s', (_, send) => {
    expect(refusal(() => send(MAX_STRING_ELEMENTS))).toBe('accepted');
    expect(refusal(() => send(MAX_STRING_ELEMENTS + 1))).toMatch(
      /1000001 elements; a BYTES tensor may have 1000000$/,
    );
  });

  it('are not read beyond what the shape says', () => {
    const typed = repeated([0x42, 0], MAX_STRING_ELEMENTS);
    expect(refusal(() => infer('BYTES', message('BYTES', 4, { typed })))).toMatch(
      /has more bytes_contents; its shape needs 4/,
    );
  });
});

describe('fields of a message', () => {
  const tooMany = new RegExp(`more than ${MAX_FIELDS} fields`);
  it.each<[string, number[]]>([
    ['empty blocks of its own field', [0x32, 0]],
    ['empty blocks of another field', [0x0a, 0]],
    ['unknown fields', [0x7a, 0]],
  ])('are bounded: %s in typed contents', (_, unit) => {
    const read = (times: number) => () => readContents('FP32', 0, [repeated(unit, times)], 'x');
    expect(refusal(read(MAX_FIELDS))).toBe('accepted');
    expect(refusal(read(MAX_FIELDS + 1))).toMatch(tooMany);
  });

  it.each<[string, number[]]>([
    ['a name', [0x0a, 0]],
    ['unknown fields', [0x7a, 0]],
  ])('are bounded: %s in a request', (_, unit) => {
    expect(refusal(() => readInferMessage(repeated(unit, MAX_FIELDS)))).toBe('accepted');
    expect(refusal(() => readInferMessage(repeated(unit, MAX_FIELDS + 1)))).toMatch(tooMany);
  });

  it('are bounded within an unknown group', () => {
    const group = (times: number) =>
      Buffer.concat([Buffer.from([0x7b]), repeated([0x78, 1], times), Buffer.from([0x7c])]);
    expect(refusal(() => readInferMessage(group(MAX_FIELDS - 2)))).toBe('accepted');
    expect(refusal(() => readInferMessage(group(MAX_FIELDS - 1)))).toMatch(tooMany);
  });

  it('do not count elements that are not packed', () => {
    const count = 4 * MAX_FIELDS;
    const typed = repeated([0x35, 1, 0, 0x80, 0x7f], count);
    const { inputs } = infer('FP32', message('FP32', count, { typed }));
    const { data } = inputs.get('x') ?? expect.fail('no input');
    // A signalling NaN, bit for bit.
    const bits = new Uint32Array((data as Float32Array).buffer);
    expect([data.length, bits.every((each) => each === 0x7f80_0001)]).toEqual([count, true]);
  });

  it('keep the bits of FP64, and take a tag of two bytes', () => {
    const nan = [1, 0, 0, 0, 0, 0, 0xf0, 0x7f];
    const data = readContents('FP64', 2, [Buffer.from([0x39, ...nan, 0xb9, 0, ...nan])], 'x');
    const bits = new BigUint64Array((data as Float64Array).buffer);
    expect([...bits]).toEqual([0x7ff0_0000_0000_0001n, 0x7ff0_0000_0000_0001n]);
    const texts = Buffer.from([0x42, 1, 0x61, 0xc2, 0, 1, 0x62]);
    expect(readContents('BYTES', 2, [texts], 'x')).toEqual(['a', 'b']);
  });
});

describe('parameters of a message', () => {
  it.each<[string, number[]]>([
    ['of one key', [0x22, 7, 0x0a, 1, 0x6b, 0x12, 2, 8, 1]],
    ['without a value', [0x22, 2, 0x0a, 0]],
  ])('are at most 64 entries, %s too', (_, entry) => {
    expect(refusal(() => readInferMessage(repeated(entry, 64)))).toBe('accepted');
    expect(refusal(() => readInferMessage(repeated(entry, 65)))).toMatch(/more than 64 parameters/);
  });

  it('have entries and values of at most 8 fields', () => {
    const value = (times: number) => block(4, block(2, repeated([8, 1], times)));
    const entry = (times: number) => block(4, repeated([0x0a, 0], times));
    for (const of of [value, entry]) {
      expect(refusal(() => readInferMessage(of(8)))).toBe('accepted');
      expect(refusal(() => readInferMessage(of(9)))).toMatch(/more than 8 fields/);
    }
  });
});
