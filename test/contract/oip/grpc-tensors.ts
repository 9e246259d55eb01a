import { describe, expect, it } from 'vitest';
import { infer as inferRest, inferred } from './client.ts';
import {
  type Contents,
  type GrpcClient,
  type GrpcTarget,
  type InferResponse,
  type Message,
  replied,
} from './grpc-client.ts';
import { byteStrings, identityName, SAMPLES, type Sample } from './models.ts';

const INVALID_ARGUMENT = 3;

type Typed = Sample & { readonly contents: Contents };

/** What REST says in JSON, in the field of its datatype. */
function typed(sample: Sample): Typed {
  const text = (sample.json ?? '[]').slice(1, -1).split(',');
  const numbers = text.map(Number);
  const { datatype } = sample;
  if (datatype === 'BOOL') {
    return { ...sample, contents: { bool_contents: text.map((value) => value === 'true') } };
  }
  if (datatype === 'BYTES') {
    const strings = JSON.parse(sample.json ?? '[]') as string[];
    return { ...sample, contents: { bytes_contents: strings.map((value) => Buffer.from(value)) } };
  }
  if (datatype === 'INT64') return { ...sample, contents: { int64_contents: text } };
  if (datatype === 'UINT64') return { ...sample, contents: { uint64_contents: text } };
  if (datatype === 'FP32') return { ...sample, contents: { fp32_contents: numbers } };
  if (datatype === 'FP64') return { ...sample, contents: { fp64_contents: numbers } };
  const contents = datatype.startsWith('U')
    ? { uint_contents: numbers }
    : { int_contents: numbers };
  return { ...sample, contents };
}

const TYPED = SAMPLES.filter((sample) => sample.json !== null).map(typed);

function vector(datatype: string, count: number, contents?: Contents): Message {
  return { name: 'x', datatype, shape: [count], contents };
}

/** Only the fields that hold something. */
function held(contents: Contents | null): Message {
  return Object.fromEntries(
    Object.entries(contents ?? {}).filter(([, values]) => (values as unknown[]).length > 0),
  );
}

/** Tensors over gRPC: typed and raw, and the same bit for bit as over REST. */
export function describeGrpcTensors(target: () => GrpcTarget, client: () => GrpcClient): void {
  const infer = async (request: Message): Promise<InferResponse> =>
    replied(await client().infer(request));
  const refusal = async (request: Message): Promise<string> => {
    const { error } = await client().infer(request);
    expect(error?.code, error?.message).toBe(INVALID_ARGUMENT);
    return error?.details ?? '';
  };

  describe('tensors over gRPC', () => {
    it.each(SAMPLES)('$datatype raw comes back bit for bit, as over REST', async (sample) => {
      const { datatype, count, bytes } = sample;
      const model = identityName(datatype);
      const answer = await infer({
        model_name: model,
        inputs: [vector(datatype, count)],
        raw_input_contents: [bytes],
      });
      expect(answer.outputs).toMatchObject([
        { name: 'x_out', datatype, shape: [String(count)], contents: null },
      ]);
      expect(answer.raw_output_contents).toEqual([bytes]);
      const own = { name: 'x', datatype, shape: [count] };
      const inputs = [{ ...own, parameters: { binary_data_size: bytes.length } }];
      const request = { inputs, parameters: { binary_data_output: true } };
      const rest = inferred(
        await inferRest({ url: target().url, maxBodyBytes: 0 }, model, request, [bytes]),
      );
      expect(rest.outputs[0].bytes).toEqual(answer.raw_output_contents[0]);
    });

    it.each(TYPED)('$datatype typed comes back typed and the same', async (sample) => {
      const { datatype, count, contents } = sample;
      const answer = await infer({
        model_name: identityName(datatype),
        inputs: [vector(datatype, count, contents)],
      });
      expect(answer.raw_output_contents).toEqual([]);
      expect(held(answer.outputs[0].contents)).toEqual(contents);
    });

    it('carries NaN, infinities and -0 typed, which JSON cannot', async () => {
      const fp64_contents = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, -0];
      const answer = await infer({
        model_name: 'id_fp64',
        inputs: [vector('FP64', 4, { fp64_contents })],
      });
      expect(answer.outputs[0].contents?.fp64_contents).toEqual(fp64_contents);
    });

    it('takes inputs in any order, and gives the outputs asked for', async () => {
      const a = { name: 'a', datatype: 'FP32', shape: [1], contents: { fp32_contents: [1.5] } };
      const b = { name: 'b', datatype: 'INT64', shape: [2], contents: { int64_contents: [7, -8] } };
      const c = {
        name: 'c',
        datatype: 'BYTES',
        shape: [1],
        contents: { bytes_contents: [Buffer.from('é')] },
      };
      for (const inputs of [
        [a, b, c],
        [c, a, b],
      ]) {
        const outputs = [{ name: 'c_out' }, { name: 'b_out' }];
        const answer = await infer({ model_name: 'triple', inputs, outputs });
        const values = answer.outputs.map(({ name, contents }) => [name, held(contents)]);
        expect(Object.fromEntries(values)).toEqual({
          b_out: { int64_contents: ['7', '-8'] },
          c_out: { bytes_contents: [Buffer.from('é')] },
        });
      }
    });

    it('gives raw tensors in the order of their outputs', async () => {
      const answer = await infer({
        model_name: 'triple',
        inputs: [
          { name: 'c', datatype: 'BYTES', shape: [2] },
          { name: 'a', datatype: 'FP32', shape: [1] },
          { name: 'b', datatype: 'INT64', shape: [0] },
        ],
        raw_input_contents: [byteStrings('', 'z'), Buffer.alloc(4), Buffer.alloc(0)],
      });
      const tensors = answer.outputs.map(({ name }, at) => [name, answer.raw_output_contents[at]]);
      expect(Object.fromEntries(tensors)).toEqual({
        a_out: Buffer.alloc(4),
        b_out: Buffer.alloc(0),
        c_out: byteStrings('', 'z'),
      });
    });

    it('takes a scalar, no elements, and tensors of every size', async () => {
      const scalar = { name: 'x', datatype: 'FP32', shape: [], contents: { fp32_contents: [4] } };
      const one = await infer({ model_name: 'scalar', inputs: [scalar] });
      expect(one.outputs[0]).toMatchObject({ shape: [], contents: { fp32_contents: [4] } });
      const none = await infer({ model_name: 'id_fp32', inputs: [vector('FP32', 0)] });
      expect(none.outputs[0].shape).toEqual(['0']);
      for (const count of [1, 3, 1000, 9000, 100_000]) {
        const bytes = Buffer.from(Float64Array.from({ length: count }, (_, at) => at + 0.5).buffer);
        for (const id of ['', 'i', 'ii', 'iii', 'iiii', 'iiiii', 'iiiiii', 'iiiiiii']) {
          const request = { model_name: 'id_fp64', id, inputs: [vector('FP64', count)] };
          const answer = await infer({ ...request, raw_input_contents: [bytes] });
          expect(answer.raw_output_contents[0].equals(bytes)).toBe(true);
          expect(answer.id).toBe(id);
        }
      }
    });

    const fp32 = (count: unknown, contents?: Contents) => ({
      model_name: 'id_fp32',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [count], contents }],
    });
    const integers = (datatype: 'INT8' | 'INT16' | 'UINT8' | 'UINT16', value: number) => ({
      model_name: identityName(datatype),
      inputs: [
        vector(
          datatype,
          1,
          datatype.startsWith('U') ? { uint_contents: [value] } : { int_contents: [value] },
        ),
      ],
    });

    it.each<[string, Message, RegExp]>([
      ['too few values', fp32(3, { fp32_contents: [1, 2] }), /shape needs 3/],
      ['too many values', fp32(1, { fp32_contents: [1, 2] }), /shape needs 1/],
      ['a shape far larger than what was sent', fp32(2 ** 31 - 1), /shape needs/],
      ['a negative dimension', fp32(-1), /shape/],
      ['the field of another datatype', fp32(1, { fp64_contents: [1] }), /fp32_contents/],
      ['INT8 out of range', integers('INT8', 128), /\[0\] is 128; INT8/],
      ['INT16 out of range', integers('INT16', -32769), /-32769/],
      ['UINT8 out of range', integers('UINT8', 256), /256/],
      ['UINT16 out of range', integers('UINT16', 65536), /65536/],
      [
        'a NUL in BYTES',
        {
          model_name: 'id_bytes',
          inputs: [vector('BYTES', 1, { bytes_contents: [Buffer.of(0)] })],
        },
        /NUL/,
      ],
      [
        'FP16 typed',
        { model_name: 'id_fp16', inputs: [vector('FP16', 1, { fp32_contents: [1] })] },
        /raw_input_contents/,
      ],
      [
        'contents beside raw contents',
        { ...fp32(1, { fp32_contents: [1] }), raw_input_contents: [Buffer.alloc(4)] },
        /one of the two/,
      ],
      ['too many raw contents', { ...fp32(1), raw_input_contents: ['', ''] }, /2 entries for 1/],
      ['too few raw bytes', { ...fp32(1), raw_input_contents: [Buffer.alloc(3)] }, /3 bytes/],
      ['an unknown input', { model_name: 'id_fp32', inputs: [{ name: 'y' }] }, /unknown input "y"/],
      ['a missing input', { model_name: 'id_fp32' }, /"x" FP32\[-1\] is missing/],
      [
        'an input twice',
        { model_name: 'id_fp32', inputs: [vector('FP32', 0), vector('FP32', 0)] },
        /twice/,
      ],
      ['another datatype', { model_name: 'id_fp32', inputs: [vector('FP64', 0)] }, /takes FP32/],
      ['an unknown output', { ...fp32(0), outputs: [{ name: 'y' }] }, /unknown output "y"/],
      [
        'classification',
        {
          ...fp32(0),
          outputs: [{ name: 'x_out', parameters: { classification: { int64_param: 2 } } }],
        },
        /classification/,
      ],
      [
        'a negative timeout',
        { ...fp32(0), parameters: { timeout: { int64_param: -1 } } },
        /timeout/,
      ],
    ])('refuses %s', async (_, request, message) => {
      expect(await refusal(request)).toMatch(message);
    });
  });
}
