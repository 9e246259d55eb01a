import { describe, expect, it } from 'vitest';
import { HEADER_LENGTH, infer, inferred, refused, send, type Target } from './client.ts';
import { byteStrings, identityName, SAMPLES } from './models.ts';

const AS_BINARY = { binary_data_output: true };

function binaryVector(datatype: string, count: number, sizeBytes: number, parameters = {}) {
  const own = { binary_data_size: sizeBytes };
  return { parameters, inputs: [{ name: 'x', shape: [count], datatype, parameters: own }] };
}

const floats = (...values: number[]) => Buffer.from(Float32Array.from(values).buffer);
const longs = (...values: bigint[]) => Buffer.from(BigInt64Array.from(values).buffer);

/** The binary tensor data extension: what it carries. */
export function describeBinary(target: () => Target): void {
  describe('binary tensor data', () => {
    it.each(SAMPLES)('$datatype in binary comes back bit for bit', async (sample) => {
      const { datatype, count, bytes } = sample;
      const request = binaryVector(datatype, count, bytes.length, AS_BINARY);
      const model = identityName(datatype);
      const [output] = inferred(await infer(target(), model, request, [bytes])).outputs;
      expect(output).toMatchObject({ name: 'x_out', datatype, shape: [count] });
      expect(output.bytes).toEqual(bytes);
    });

    it.each(SAMPLES.filter((sample) => sample.json !== null))(
      '$datatype is the same in JSON and in binary, both ways',
      async ({ datatype, count, json, bytes }) => {
        const model = identityName(datatype);
        const inputs = `"inputs":[{"name":"x","shape":[${count}],"datatype":"${datatype}","data":${json}}]`;
        const fromJson = `{"parameters":{"binary_data_output":true},${inputs}}`;
        expect(inferred(await infer(target(), model, fromJson)).outputs[0].bytes).toEqual(bytes);
        const toJson = await infer(target(), model, binaryVector(datatype, count, bytes.length), [
          bytes,
        ]);
        const allJson = await infer(target(), model, `{${inputs}}`);
        const dataIn = (text: string) => text.slice(text.indexOf('"outputs"'));
        expect(dataIn(inferred(toJson).text)).toBe(dataIn(inferred(allJson).text));
      },
    );

    it('mixes JSON and binary inputs in any order', async () => {
      const parts = {
        a: { json: { data: [1.5, 2.5] }, bytes: floats(1.5, 2.5) },
        b: { json: { data: [7, 8] }, bytes: longs(7n, 8n) },
        c: { json: { data: ['x', ''] }, bytes: byteStrings('x', '') },
      };
      const types = { a: 'FP32', b: 'INT64', c: 'BYTES' } as const;
      const orders = [
        ['a', 'b', 'c'],
        ['c', 'a', 'b'],
        ['b', 'c', 'a'],
        ['c', 'b', 'a'],
      ] as const;
      for (const order of orders) {
        for (let mask = 1; mask < 8; mask += 1) {
          const tensors: Buffer[] = [];
          const inputs = order.map((name, at) => {
            const tensor = { name, shape: [2], datatype: types[name] };
            if ((mask & (1 << at)) === 0) return { ...tensor, ...parts[name].json };
            tensors.push(parts[name].bytes);
            return { ...tensor, parameters: { binary_data_size: parts[name].bytes.length } };
          });
          const { outputs } = inferred(await infer(target(), 'triple', { inputs }, tensors));
          const data = Object.fromEntries(outputs.map((output) => [output.name, output.data]));
          expect(data).toEqual({ a_out: [1.5, 2.5], b_out: [7, 8], c_out: ['x', ''] });
        }
      }
    });

    it('an output says for itself whether it is binary', async () => {
      const inputs = [
        { name: 'a', shape: [1], datatype: 'FP32', data: [1] },
        { name: 'b', shape: [1], datatype: 'INT64', data: [2] },
        { name: 'c', shape: [1], datatype: 'BYTES', data: ['3'] },
      ];
      for (const all of [true, false, undefined]) {
        const request = {
          inputs,
          parameters: { binary_data_output: all },
          outputs: [
            { name: 'a_out', parameters: { binary_data: false } },
            { name: 'b_out', parameters: { binary_data: true } },
            { name: 'c_out' },
          ],
        };
        const { outputs } = inferred(await infer(target(), 'triple', request));
        const form = Object.fromEntries(
          outputs.map((each) => [each.name, each.bytes ?? each.data]),
        );
        expect(form).toEqual({
          a_out: [1],
          b_out: longs(2n),
          c_out: all === true ? byteStrings('3') : ['3'],
        });
      }
    });

    it('carries NaN, infinities and NaN payloads faithfully, and refuses them in JSON', async () => {
      const bits = Buffer.from(
        Uint32Array.of(0x7fc00000, 0x7f800000, 0xff800000, 0x7fc12345, 0xffc00001, 1).buffer,
      );
      const request = binaryVector('FP32', 6, bits.length, AS_BINARY);
      const [output] = inferred(await infer(target(), 'id_fp32', request, [bits])).outputs;
      expect(output.bytes).toEqual(bits);
      const asJson = await infer(target(), 'id_fp32', binaryVector('FP32', 6, bits.length), [bits]);
      expect(refused(asJson, 400)).toMatch(/NaN.*binary_data/);
      const half = Buffer.from(Uint16Array.of(0x7e00, 0xfc00).buffer);
      const halves = binaryVector('FP16', 2, half.length, AS_BINARY);
      expect(inferred(await infer(target(), 'id_fp16', halves, [half])).outputs[0].bytes).toEqual(
        half,
      );
      refused(await infer(target(), 'id_fp16', binaryVector('FP16', 2, half.length), [half]), 400);
    });

    it('takes a tensor wherever it lies: aligned or not, small or large', async () => {
      for (const count of [1, 3, 1000, 100_000]) {
        for (let padding = 0; padding < 9; padding += 1) {
          const doubles = Float64Array.from({ length: count }, (_, at) => at + 0.5);
          const bytes = Buffer.from(doubles.buffer);
          const request = JSON.stringify(binaryVector('FP64', count, bytes.length, AS_BINARY));
          const padded = request + ' '.repeat(padding);
          const [output] = inferred(await infer(target(), 'id_fp64', padded, [bytes])).outputs;
          expect(output.bytes?.equals(bytes)).toBe(true);
        }
      }
    });

    it('counts the JSON in bytes, and keeps requests of one header apart', async () => {
      for (let call = 0; call < 3; call += 1) {
        for (const id of ['é😀', 'same']) {
          const request = { id, ...binaryVector('FP32', 2, 8) };
          const answer = inferred(await infer(target(), 'id_fp32', request, [floats(call, -call)]));
          expect(answer).toMatchObject({
            id,
            outputs: [{ data: [call, call === 0 ? -0 : -call] }],
          });
        }
      }
    });

    it.each([0, 1])('takes no elements in binary, %i in JSON beside them', async (beside) => {
      const inputs = [
        { name: 'a', shape: [0], datatype: 'FP32', parameters: { binary_data_size: 0 } },
        { name: 'b', shape: [beside], datatype: 'INT64', data: new Array(beside).fill(4) },
        { name: 'c', shape: [0], datatype: 'BYTES', parameters: { binary_data_size: 0 } },
      ];
      const request = { inputs, parameters: AS_BINARY };
      const { outputs } = inferred(await infer(target(), 'triple', request, []));
      expect(outputs.map((output) => output.bytes?.length).sort()).toEqual(
        [0, 0, beside * 8].sort(),
      );
    });

    it.each([
      ['FP32 of free length', 'id_fp32', floats(1, 2, 3), [3]],
      ['FP32 of rows of 3', 'matrix', floats(1, 2, 3, 4, 5, 6), [2, 3]],
      ['a scalar', 'scalar', floats(4), []],
      ['nothing', 'id_fp32', Buffer.alloc(0), [0]],
      ['FP16', 'id_fp16', Buffer.from([0, 0x3c]), [1]],
    ])('raw request: %s', async (_, model, body, shape) => {
      const headers = { [HEADER_LENGTH]: '0' };
      const path = `/v2/models/${model}/infer`;
      const [output] = inferred(await send(target(), 'POST', path, body, headers)).outputs;
      expect(output).toMatchObject({ shape, bytes: body });
    });

    it('raw request: the whole body is the one element of BYTES', async () => {
      const headers = { [HEADER_LENGTH]: '0' };
      const path = '/v2/models/id_bytes/infer';
      const [output] = inferred(await send(target(), 'POST', path, 'a text', headers)).outputs;
      expect(output).toMatchObject({ shape: [1], bytes: byteStrings('a text') });
    });

    it.each([
      ['two inputs', 'triple', 8],
      ['two free dimensions', 'free', 8],
      ['half a row', 'matrix', 16],
      ['half an element', 'id_fp32', 6],
      ['two scalars', 'scalar', 8],
    ])('raw request: refuses %s', async (_, model, size) => {
      const headers = { [HEADER_LENGTH]: '0' };
      const body = Buffer.alloc(size);
      refused(await send(target(), 'POST', `/v2/models/${model}/infer`, body, headers), 400);
    });
  });
}
