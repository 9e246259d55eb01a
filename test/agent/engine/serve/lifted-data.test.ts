import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseInferRequest } from '../../../../agent/engine/serve/infer-request.ts';
import { liftData, MIN_LIFTED_BYTES } from '../../../../agent/engine/serve/lifted-data.ts';
import { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import type { Datatype } from '../../../../protocol/tensor.ts';
import { manifestOf } from '../../../protocol/documents.ts';

const taking = (x: Datatype, y: Datatype) =>
  manifestOf({
    inputs: [
      { name: 'x', datatype: x, shape: [-1, 2] },
      { name: 'y', datatype: y, shape: [-1] },
    ],
    features: [],
  });
const manifest = taking('FP32', 'FP32');

/** Long enough to be worth a walk, and the same request. */
const lengthened = (text: string) => text + ' '.repeat(MIN_LIFTED_BYTES);

function outcome(text: string) {
  try {
    const { id, inputs, parameters } = parseInferRequest(Buffer.from(text), null, manifest);
    return { id, inputs: [...inputs], parameters };
  } catch (error) {
    if (error instanceof OipError && error.status === 400) return 'refused';
    throw error;
  }
}

function refusal(text: string): string {
  try {
    parseInferRequest(Buffer.from(text), null, manifest);
    return 'accepted';
  } catch (error) {
    return String(error);
  }
}

const row = fc.tuple(fc.double({ noNaN: true }), fc.double({ noNaN: true }));
const x = fc.oneof(
  fc
    .array(row, { maxLength: 4 })
    .map((rows) => ({ shape: [rows.length, 2], data: rows as unknown })),
  fc.array(row, { maxLength: 4 }).map((rows) => ({ shape: [rows.length, 2], data: rows.flat() })),
  fc.record({ shape: fc.constant([1, 2]), data: fc.jsonValue() }),
);
const request = fc
  .record({
    id: fc.string(),
    given: x,
    values: fc.array(fc.oneof(fc.double({ noNaN: true }), fc.constantFrom('"]', null, [1]))),
    more: fc.jsonValue(),
  })
  .map(({ id, given, values, more }) =>
    JSON.stringify({
      id,
      parameters: { more, data: [1, 2] },
      inputs: [
        { name: 'x', datatype: 'FP32', ...given },
        { data: values, name: 'y', shape: [values.length], datatype: 'FP32' },
      ],
    }),
  );
/** A byte changed, taken away or doubled: mostly no JSON any more, sometimes another request. */
const damaged = fc
  .tuple(request, fc.nat(), fc.constantFrom('', '"', '[', ']', '{', '}', ',', ':', '\\', '1', 'e'))
  .map(([text, at, by]) => {
    const place = at % text.length;
    return text.slice(0, place) + by + text.slice(place + 1);
  });

describe('a long request of FP32 tensors', () => {
  test('means what the same request means when it is short, whole or damaged', () => {
    fc.assert(
      fc.property(fc.oneof(request, damaged), (text) => {
        expect(outcome(lengthened(text))).toEqual(outcome(text));
      }),
      { numRuns: 3000 },
    );
  });

  test('has its numbers lifted out of its JSON, and nothing else', () => {
    const text = '{"inputs":[{"name":"x","data":[[1,2]]},{"data":["]"]},{"data" : [ 3 ] }]}';
    const lifted = liftData(Buffer.from(lengthened(text)), manifest);
    expect(lifted?.json.toString().trimEnd()).toBe(
      '{"inputs":[{"name":"x","data":[]},{"data":["]"]},{"data" : [] }]}',
    );
    expect([...(lifted?.numbers ?? [])]).toEqual([
      [0, { values: Float32Array.of(1, 2), shape: [1, 2] }],
      [2, { values: Float32Array.of(3), shape: [1] }],
    ]);
  });

  test.each([
    ['a name twice', '{"inputs":[{"data":[1],"data":[2]}]}'],
    ['two lists of inputs', '{"inputs":[{"data":[1]}],"inputs":[]}'],
    ['a name with an escape, which may be any name', '{"inputs":[{"data":[1],"d\\u0061ta":[2]}]}'],
  ])('is left as it is where it has %s', (_, text) => {
    expect(liftData(Buffer.from(lengthened(text)), manifest)).toBeNull();
  });

  test('is left as it is for a model that takes other numbers as well', () => {
    const text = lengthened('{"inputs":[{"data":[9007199254740993]}]}');
    expect(liftData(Buffer.from(text), taking('FP32', 'INT64'))).toBeNull();
  });

  test('is refused in the words that a short one is', () => {
    const y = '{"name":"y","shape":[1],"datatype":"FP32","data":[1]}';
    const given = (shape: string, data: string) =>
      refusal(
        lengthened(
          `{"inputs":[{"name":"x","shape":${shape},"datatype":"FP32","data":${data}},${y}]}`,
        ),
      );
    expect(given('[2,2]', '[1,2,3]')).toContain('input "x" has 3 values; its shape [2,2] holds 4');
    expect(given('[2,2]', '[[1,2]]')).toContain(
      'input "x" is nested as [1,2]; its shape says [2,2]',
    );
    expect(given('[1,2]', '[1,1e39]')).toContain(
      'input "x"[1] is 1e+39; FP32 needs a finite number',
    );
    expect(given('[1,2]', '[1,NaN]')).toContain('JSON has no NaN or Infinity');
  });
});
