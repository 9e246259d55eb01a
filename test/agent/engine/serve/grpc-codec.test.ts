import { join } from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readInferMessage } from '../../../../agent/engine/serve/grpc/infer-message.ts';
import { BLOCK, ProtoReader } from '../../../../agent/engine/serve/grpc/proto-reader.ts';
import { ProtoWriter } from '../../../../agent/engine/serve/grpc/proto-writer.ts';
import { readContents } from '../../../../agent/engine/serve/grpc/typed-contents.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import type { Datatype } from '../../../../protocol/tensor.ts';
import type { Contents, Message } from '../../../contract/oip/grpc-client.ts';

/** protobufjs, by way of the loader that every gRPC client in Node uses. */
const LOADED = loadSync(join(import.meta.dirname, '../../../contract/oip/grpc.proto'), {
  keepCase: true,
  longs: String,
  defaults: true,
  arrays: true,
});
interface Peer {
  serialize(message: object): Buffer;
  deserialize(bytes: Buffer): Message;
}
function peer(name: string) {
  // The loader's types leave out what its message types can do.
  const type = LOADED[`inference.${name}`] as unknown as Peer;
  return {
    encode: (message: object) => Buffer.from(type.serialize(message)),
    decode: (encoded: Buffer) => type.deserialize(encoded),
  };
}
const request = peer('ModelInferRequest');
const contentsType = peer('InferTensorContents');

const text = fc.string({ unit: 'grapheme', maxLength: 12 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
const parameter = fc.oneof(
  fc.record({ bool_param: fc.boolean() }),
  int64.map((value) => ({ int64_param: String(value) })),
  uint64.map((value) => ({ uint64_param: String(value) })),
  fc.record({ string_param: text }),
  fc.record({ double_param: fc.double({ noNaN: true }) }),
);
const parameters = fc.dictionary(text, parameter, { maxKeys: 4 });
const dimension = fc.maxSafeInteger();
const input = fc.record({
  name: text,
  datatype: text,
  shape: fc.array(dimension, { maxLength: 5 }),
  parameters,
});
const bytes = fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each));
const message = fc.record({
  model_name: text,
  model_version: text,
  id: text,
  parameters,
  inputs: fc.array(input, { maxLength: 4 }),
  outputs: fc.array(fc.record({ name: text, parameters }), { maxLength: 3 }),
  raw_input_contents: fc.array(bytes, { maxLength: 4 }),
});

/** Parameters as the reader gives them. */
function plain(given: Readonly<Record<string, object>>): Map<string, unknown> {
  return new Map(
    Object.entries(given).map(([key, choice]) => {
      const [[name, value]] = Object.entries(choice) as [string, unknown][];
      return [key, name.includes('int64') ? BigInt(value as string) : value];
    }),
  );
}

const malformed = (read: () => unknown, pattern: RegExp) => {
  try {
    read();
  } catch (error) {
    expect(error).toBeInstanceOf(OipError);
    expect(error).toMatchObject({ code: 'bad_request', message: expect.stringMatching(pattern) });
    return;
  }
  expect.fail('it was read');
};

describe('the codec of gRPC messages', () => {
  it('reads every request that protobufjs writes', () => {
    fc.assert(
      fc.property(message, (given) => {
        const read = readInferMessage(request.encode(given));
        expect(read).toMatchObject({
          modelName: given.model_name,
          modelVersion: given.model_version,
          id: given.id,
          raw: given.raw_input_contents,
        });
        expect(read.parameters).toEqual(plain(given.parameters));
        expect(read.inputs).toEqual(
          given.inputs.map((each) => ({
            ...each,
            shape: each.shape,
            parameters: plain(each.parameters),
            contents: [],
          })),
        );
        expect(read.outputs).toEqual(
          given.outputs.map((each) => ({ name: each.name, parameters: plain(each.parameters) })),
        );
      }),
      { numRuns: 500, seed: 7 },
    );
  });

  it('writes numbers and nested messages that protobufjs reads', () => {
    const numbers = fc.array(fc.maxSafeInteger(), { maxLength: 40 });
    fc.assert(
      fc.property(text, numbers, fc.string({ maxLength: 40_000 }), (name, shape, long) => {
        const writer = new ProtoWriter();
        writer.text(1, long);
        const output = writer.begin(5);
        writer.text(1, name);
        writer.packed(3, shape);
        writer.end(output);
        const out = Buffer.alloc(writer.length);
        writer.copyTo(out, 0);
        const read = peer('ModelInferResponse').decode(out);
        expect(read).toMatchObject({
          model_name: long,
          outputs: [{ name, shape: shape.map(String) }],
        });
      }),
      { numRuns: 200, seed: 7 },
    );
  });

  it('reads typed contents, packed and one by one, whole or in two blocks', () => {
    const cases: [Datatype, keyof Contents, fc.Arbitrary<unknown>, (value: never) => unknown][] = [
      ['BOOL', 'bool_contents', fc.boolean(), (value) => (value ? 1 : 0)],
      ['INT8', 'int_contents', fc.integer({ min: -128, max: 127 }), (value) => value],
      ['INT32', 'int_contents', fc.integer(), (value) => value],
      ['UINT32', 'uint_contents', fc.nat({ max: 2 ** 32 - 1 }), (value) => value],
      ['INT64', 'int64_contents', int64.map(String), (value) => BigInt(value)],
      ['UINT64', 'uint64_contents', uint64.map(String), (value) => BigInt(value)],
      ['FP32', 'fp32_contents', fc.float({ noNaN: true }), (value) => value],
      ['FP64', 'fp64_contents', fc.double({ noNaN: true }), (value) => value],
    ];
    for (const [datatype, field, value, shown] of cases) {
      fc.assert(
        fc.property(fc.array(value, { maxLength: 20 }), fc.nat({ max: 20 }), (values, cut) => {
          const expected = values.map((each) => shown(each as never));
          const encode = (part: unknown[]) => contentsType.encode({ [field]: part });
          const blocks = [
            [encode(values)],
            [encode(values.slice(0, cut)), encode(values.slice(cut))],
            values.map((each) => encode([each])),
            values.map((each) => unpacked(encode([each]))),
          ];
          for (const each of blocks) {
            const read = readContents(datatype, values.length, each, 'x');
            expect(Array.from(read as ArrayLike<unknown>)).toEqual(expected);
          }
        }),
        { numRuns: 60, seed: 7 },
      );
    }
  });

  it('takes unknown fields, and of a oneof the last', () => {
    const unknown = Buffer.from([0xa0, 6, 5, 0xa1, 6, 0, 0, 0, 0, 0, 0, 0, 0, 0xa2, 6, 1, 9]);
    const group = Buffer.from([0xa3, 6, 8, 1, 0xa4, 6, 0xa5, 6, 1, 2, 3, 4]);
    const name = Buffer.from([0x0a, 1, 0x61]);
    const entry = Buffer.from([0x22, 9, 0x0a, 1, 0x6b, 0x12, 4, 8, 1, 0x10, 7]);
    const read = readInferMessage(Buffer.concat([unknown, group, name, entry]));
    expect(read.modelName).toBe('a');
    expect(read.parameters).toEqual(new Map([['k', 7n]]));
  });

  it.each<[string, number[], RegExp]>([
    ['a field cut off', [0x0a, 5, 0x61], /reaches past the end/],
    ['a length beyond 4 GiB', [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f], /reaches past the end/],
    ['an endless varint', new Array(12).fill(0xff), /10 bytes/],
    ['a varint cut off', [0x0a, 0x80], /cut off/],
    ['field 0', [0x02, 0], /field number/],
    ['a wire type that is none', [0x0e], /wire type 6/],
    ['a group that ends and never began', [0xa4, 6], /wire type 4/],
    ['a group cut off', [0xa3, 6, 8, 1], /cut off/],
    ['groups too deep', new Array(80).fill([0xa3, 6]).flat(), /too deep/],
    ['text that is not UTF-8', [0x0a, 1, 0xff], /not UTF-8/],
    ['more inputs than a model has', new Array(257).fill([0x2a, 0]).flat(), /more than 256/],
    ['more dimensions than a tensor has', [0x2a, 22, 0x1a, 20, ...new Array(20).fill(1)], /16 dim/],
  ])('refuses %s', (_, given, pattern) => {
    malformed(() => readInferMessage(Buffer.from(given)), pattern);
  });

  it('holds no memory for what contents only claim', () => {
    malformed(() => readContents('FP64', 2 ** 31 - 1, [Buffer.alloc(100)], 'x'), /shape needs/);
  });
});

/** A packed field of one element as an unpacked one: its tag with the element's own wire type, and no length. */
function unpacked(encoded: Buffer): Buffer {
  if (encoded.length === 0) return encoded;
  const reader = new ProtoReader(encoded, 'contents');
  const field = reader.tag() >>> 3;
  const element = reader.block();
  const wire = field === 6 ? 5 : field === 7 ? 1 : 0;
  expect(encoded[0] & 7).toBe(BLOCK);
  return Buffer.concat([Buffer.from([field * 8 + wire]), element]);
}
