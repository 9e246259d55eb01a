import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseInferRequest } from '../../../../agent/engine/serve/infer-request.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import { MAX_JSON_DEPTH } from '../../../../protocol/limits.ts';
import type { Manifest } from '../../../../protocol/manifest.ts';
import type { Datatype } from '../../../../protocol/tensor.ts';
import { manifestOf } from '../../../protocol/documents.ts';

const taking = (datatype: Datatype, shape: number[]): Manifest =>
  manifestOf({ inputs: [{ name: 'x', datatype, shape }], features: [] });

const parse = (body: unknown, manifest: Manifest) => {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return parseInferRequest(Buffer.from(text), null, manifest);
};

/** What a client is told; anything but a 400 in the protocol's words is a bug. */
function refusal(body: unknown, manifest: Manifest): string {
  try {
    parse(body, manifest);
    return 'accepted';
  } catch (error) {
    if (error instanceof OipError && error.status === 400) return error.message;
    throw error;
  }
}

const input = (datatype: string, shape: unknown, data: unknown) => ({
  inputs: [{ name: 'x', datatype, shape, data }],
});
const fp32 = taking('FP32', [-1, 2]);

describe('an inference request', () => {
  it('is read flat or nested, row by row', () => {
    for (const data of [
      [1, 2, 3, 4],
      [
        [1, 2],
        [3, 4],
      ],
    ]) {
      const { id, inputs } = parse({ id: 'a', ...input('FP32', [2, 2], data) }, fp32);
      expect(id).toBe('a');
      expect(inputs.get('x')).toEqual({
        datatype: 'FP32',
        shape: [2, 2],
        data: Float32Array.of(1, 2, 3, 4),
      });
    }
  });

  it('is read the same flat and nested, whatever the shape', () => {
    const anyShape = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(anyShape, (shape) => {
        const manifest = taking('FP64', shape);
        const count = shape.reduce((product, size) => product * size, 1);
        const flat = Array.from({ length: count }, (_, at) => at + 0.5);
        const nested = shape.slice(1).reduceRight<unknown[]>((values, size) => {
          return Array.from({ length: values.length / size }, (_, at) =>
            values.slice(at * size, (at + 1) * size),
          );
        }, flat);
        const one = parse(input('FP64', shape, flat), manifest).inputs.get('x');
        const other = parse(input('FP64', shape, nested), manifest).inputs.get('x');
        expect(one).toEqual(other);
        expect(Array.from(one?.data as Float64Array)).toEqual(flat);
      }),
    );
  });

  it.each<[string, unknown, RegExp]>([
    [
      'another rank',
      input('FP32', [4], [1, 2, 3, 4]),
      /"x" has shape \[4\]; the model takes \[-1,2\]/,
    ],
    ['another width', input('FP32', [1, 3], [1, 2, 3]), /shape \[1,3\]; the model takes \[-1,2\]/],
    ['a negative dimension', input('FP32', [-1, 2], []), /integers from 0|integers >= 0/],
    ['a fractional dimension', input('FP32', [1.5, 2], []), /needs "shape"/],
    ['no shape', input('FP32', undefined, []), /needs "shape"/],
    ['another datatype', input('FP64', [1, 2], [1, 2]), /datatype "FP64"; the model takes FP32/],
    ['no datatype', input('', [1, 2], [1, 2]), /datatype ""; the model takes FP32/],
    ['too few values', input('FP32', [2, 2], [1, 2, 3]), /has 3 values; its shape \[2,2\] holds 4/],
    [
      'too many values',
      input('FP32', [1, 2], [1, 2, 3]),
      /has 3 values; its shape \[1,2\] holds 2/,
    ],
    ['no data', input('FP32', [1, 2], undefined), /needs "data", an array/],
    [
      'a value that is text',
      input('FP32', [1, 2], [1, '2']),
      /"x"\[1\] is "2"; FP32 needs a number/,
    ],
    ['a value that is null', input('FP32', [1, 2], [null, 2]), /"x"\[0\] is null/],
    [
      'a value beyond FP32',
      input('FP32', [1, 2], [1, 3.5e38]),
      /\[1\] is 3.5e\+38; .*3.4028235e38/,
    ],
    ['nesting deeper than the shape', input('FP32', [1, 2], [[[1], [2]]]), /deeper than its shape/],
    [
      'ragged rows',
      input('FP32', [2, 2], [[1, 2], [3]]),
      /has 1 entries at depth 1; its shape says 2/,
    ],
    ['an unknown input', { inputs: [{ name: 'y' }] }, /unknown input "y"; this model takes "x"/],
    ['no inputs', {}, /"inputs" must be an array/],
    ['a missing input', { inputs: [] }, /input "x" FP32\[-1,2\] is missing/],
    ['an input that is text', { inputs: ['x'] }, /each input must be an object/],
    ['an id that is a number', { id: 7, inputs: [] }, /"id" must be a string, got number/],
    [
      'an unknown output',
      { ...input('FP32', [1, 2], [1, 2]), outputs: [{ name: 'z' }] },
      /unknown output "z"; this model gives "label", "probabilities"/,
    ],
    ['a list', [], /must be a JSON object/],
  ])('with %s is refused, and told why', (_, body, message) => {
    expect(refusal(body, fp32)).toMatch(message);
  });

  it('with an input given twice is refused', () => {
    const [once] = input('FP32', [1, 2], [1, 2]).inputs;
    expect(refusal({ inputs: [once, once] }, fp32)).toContain('"x" is given twice');
  });

  it.each(['NaN', 'Infinity', '-Infinity'])(
    'with %s is refused, and told that JSON has none',
    (text) => {
      const body = `{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,${text}]}]}`;
      expect(refusal(body, fp32)).toMatch(/not JSON: .*JSON has no NaN or Infinity/);
    },
  );
});

describe('the values of a request', () => {
  it('keep FP32 as the nearest float, up to its largest', () => {
    const { inputs } = parse(input('FP32', [1, 2], [0.1, 3.4028234663852886e38]), fp32);
    expect(inputs.get('x')?.data).toEqual(Float32Array.of(0.1, 3.4028234663852886e38));
  });

  it.each<[Datatype, number, number]>([
    ['UINT8', 0, 255],
    ['INT8', -128, 127],
    ['UINT16', 0, 65535],
    ['INT16', -32768, 32767],
    ['UINT32', 0, 4294967295],
    ['INT32', -2147483648, 2147483647],
  ])('of %s go from %i to %i and no further', (datatype, low, high) => {
    const manifest = taking(datatype, [2]);
    const { inputs } = parse(input(datatype, [2], [low, high]), manifest);
    expect(Array.from(inputs.get('x')?.data as Int32Array)).toEqual([low, high]);
    for (const bad of [low - 1, high + 1, 0.5]) {
      expect(refusal(input(datatype, [2], [low, bad]), manifest)).toContain(
        `"x"[1] is ${bad}; ${datatype} needs an integer from ${low} to ${high}`,
      );
    }
  });

  it.each<[Datatype, string[], string[]]>([
    [
      'INT64',
      ['9007199254740991', '-9223372036854775808'],
      ['9223372036854775808', '1.5', '1e400'],
    ],
    ['UINT64', ['0', '18446744073709551615'], ['18446744073709551616', '-1']],
  ])('of %s are exact or refused, never rounded', (datatype, good, bad) => {
    const manifest = taking(datatype, [1]);
    const body = (digits: string) =>
      `{"inputs":[{"name":"x","shape":[1],"datatype":"${datatype}","data":[${digits}]}]}`;
    for (const digits of good) {
      const message = refusal(body(digits), manifest);
      if (message === 'accepted') {
        const [value] = parse(body(digits), manifest).inputs.get('x')?.data ?? [];
        expect(value).toBe(BigInt(digits));
      } else expect(message).toContain(`${datatype} needs`);
    }
    for (const digits of bad)
      expect(refusal(body(digits), manifest)).toContain(`${datatype} needs`);
    // Text was once wrapped past 64 bits without a word.
    expect(refusal(body('"18446744073709551616"'), manifest)).toContain(`${datatype} needs`);
  });

  it('of BOOL and BYTES are what they say', () => {
    const { inputs } = parse(input('BOOL', [2], [true, false]), taking('BOOL', [2]));
    expect(inputs.get('x')?.data).toEqual(Uint8Array.of(1, 0));
    expect(refusal(input('BOOL', [1], [1]), taking('BOOL', [1]))).toContain('needs true or false');
    const text = parse(input('BYTES', [1], ['grüß']), taking('BYTES', [1]));
    expect(text.inputs.get('x')?.data).toEqual(['grüß']);
    expect(refusal(input('BYTES', [1], [1]), taking('BYTES', [1]))).toContain('needs a string');
  });

  it('of FP16 have no JSON form', () => {
    expect(refusal(input('FP16', [1], [1]), taking('FP16', [1]))).toContain(
      'FP16 has no JSON form',
    );
  });
});

describe('hostile requests', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);

  it('LIMIT-8: nest as deep as the limit and are refused one level deeper', () => {
    // Three levels are the body, its "inputs" and the input itself.
    const body = (depth: number) =>
      `{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2],"more":${nested(depth)}}]}`;
    expect(refusal(body(MAX_JSON_DEPTH - 3), fp32)).toBe('accepted');
    expect(refusal(body(MAX_JSON_DEPTH - 2), fp32)).toContain(`deeper than the ${MAX_JSON_DEPTH}`);
  });

  it('LIMIT-8: are refused at once, however deep', () => {
    const started = performance.now();
    expect(refusal(nested(8_000_000), fp32)).toContain('nests arrays and objects deeper');
    expect(refusal('{"a":'.repeat(1_000_000), fp32)).toContain('nests arrays and objects deeper');
    expect(performance.now() - started).toBeLessThan(2000);
  });

  it('LIMIT-8: may hold brackets in text', () => {
    const id = '[{\\"'.repeat(200);
    const body = `{"id":"${id}","inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1,2]}]}`;
    expect(refusal(body, fp32)).toBe('accepted');
  });

  it.each(['name', 'datatype', 'shape', 'data'])(
    'are not echoed at length in errors about %s',
    (field) => {
      const long = { ...input('FP32', [1, 2], [1, 2]).inputs[0], [field]: 'a'.repeat(100_000) };
      expect(refusal({ inputs: [long] }, fp32).length).toBeLessThan(300);
    },
  );

  it('end in a 400 whatever JSON they are', () => {
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(refusal(text, fp32)).not.toBe('accepted');
        expect(refusal(`{"inputs":[${text}]}`, fp32)).not.toBe('accepted');
        const body = `{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":${text}}]}`;
        expect(typeof refusal(body, fp32)).toBe('string');
      }),
    );
  });
});
