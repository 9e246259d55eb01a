import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readJsonFloats } from '../../../../agent/engine/serve/json-floats.ts';

function read(text: string) {
  return readJsonFloats(Buffer.from(text), 0);
}

const digits = (min: number, max: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789'), minLength: min, maxLength: max });

/** Any number of JSON's grammar, however many digits it has. */
const written = fc
  .tuple(
    fc.constantFrom('', '-'),
    fc.oneof(
      fc.constant('0'),
      fc.tuple(fc.constantFrom(...'123456789'), digits(0, 24)).map(([a, b]) => a + b),
    ),
    fc.oneof(
      fc.constant(''),
      digits(1, 30).map((d) => `.${d}`),
    ),
    fc.oneof(
      fc.constant(''),
      fc
        .tuple(fc.constantFrom('e', 'E'), fc.constantFrom('', '+', '-'), digits(1, 2))
        .map((p) => p.join('')),
    ),
  )
  .map((parts) => parts.join(''));

/** Doubles right at the border between two float32, and their neighbours: where a careless reader rounds wrongly. */
const midway = fc
  .tuple(fc.float({ noNaN: true, noDefaultInfinity: true }), fc.integer({ min: -3, max: 3 }))
  .map(([value, steps]) => {
    const bits = new Uint32Array(Float32Array.of(value).buffer);
    bits[0] += 1;
    const next = new Float32Array(bits.buffer)[0];
    const middle = new BigInt64Array(Float64Array.of((value + next) / 2).buffer);
    middle[0] += BigInt(steps);
    return new Float64Array(middle.buffer)[0];
  })
  .filter(Number.isFinite)
  .chain((value) => fc.constantFrom(String(value), value.toPrecision(17), value.toExponential(25)));

describe('numbers read from JSON text', () => {
  test('are what Number and Math.fround make of each, to the bit', () => {
    const texts = fc.array(fc.oneof(written, midway, fc.double({ noNaN: true }).map(String)), {
      minLength: 1,
      maxLength: 40,
    });
    const finite = (text: string) => Number.isFinite(Math.fround(Number(text)));
    fc.assert(
      fc.property(texts, fc.constantFrom(',', ', ', '\n,\t'), (all, comma) => {
        const kept = all.filter(finite);
        fc.pre(kept.length > 0);
        const found = read(`[${kept.join(comma)}]`);
        expect(found?.values).toEqual(Float32Array.from(kept, Number));
        expect(found?.shape).toEqual([kept.length]);
      }),
      { numRuns: 3000 },
    );
  });

  test('keep the sign of zero and the smallest numbers there are', () => {
    const texts = ['-0', '-0.0', '0e5', '1e-45', '7e-46', '1.401298464324817e-45', '-1e-300'];
    expect(read(`[${texts}]`)?.values).toEqual(Float32Array.from(texts, Number));
  });

  test('nest as a tensor does, and are given flat', () => {
    const found = read(' [ [[1, 2],[3,4]] ,[[5,6],[7,8]]] tail'.trimStart());
    expect(found?.shape).toEqual([2, 2, 2]);
    expect([...(found?.values ?? [])]).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(read('[[],[]]')?.shape).toEqual([2, 0]);
    expect(read('[]')?.shape).toEqual([0]);
  });

  test('end where their array ends', () => {
    expect(read('[1,2],"name"')?.end).toBe(5);
  });

  test.each([
    ['text', '["1"]'],
    ['null', '[null]'],
    ['an object', '[{}]'],
    ['numbers beside arrays', '[1,[2]]'],
    ['arrays beside numbers', '[[2],1]'],
    ['rows of two lengths', '[[1,2],[3]]'],
    ['a depth no tensor has', `${'['.repeat(200)}1${']'.repeat(200)}`],
    ['a number that FP32 does not hold', '[3.4028236e38]'],
    ['a number that no double holds', '[1e999]'],
    ['a comma at the end', '[1,]'],
    ['a comma at the beginning', '[,1]'],
    ['no comma', '[1 2]'],
    ['an array that does not end', '[1,2'],
    ['a zero in front', '[01]'],
    ['a plus in front', '[+1]'],
    ['nothing before the point', '[.5]'],
    ['nothing after the point', '[1.]'],
    ['an exponent without digits', '[1e]'],
    ['an exponent with two signs', '[1e+-1]'],
    ['a minus alone', '[-]'],
    ['NaN', '[NaN]'],
    ['-Infinity', '[-Infinity]'],
    ['a blank that JSON does not have', '[1,\u000b2]'],
  ])('are left alone where there is %s', (_, text) => {
    expect(read(text)).toBeNull();
  });

  test('cost no more than their own array, whatever comes after', () => {
    const many = Buffer.from(`${'[1],'.repeat(50_000)}[1]`);
    const values = Array.from({ length: 50_000 }, (_, at) => readJsonFloats(many, 4 * at)?.values);
    expect(values.every((one) => one !== undefined && one.buffer.byteLength < 64)).toBe(true);
  });
});
