import fc from 'fast-check';
import { expect, it } from 'vitest';
import { BitReader } from '../../../protocol/sketch/bit-reader.ts';
import { BitWriter, MAX_NUMBER } from '../../../protocol/sketch/bit-writer.ts';
import { ByteReader } from '../../../protocol/sketch/byte-reader.ts';
import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import { SketchError } from '../../../protocol/sketch/error.ts';

type Step =
  | { readonly kind: 'put'; readonly value: number; readonly size: number }
  | { readonly kind: 'list'; readonly values: readonly number[] }
  | { readonly kind: 'float32' | 'float64' | 'uint32' | 'aside'; readonly value: number };

const anyPut = fc
  .integer({ min: 0, max: 17 })
  .chain((size) =>
    fc.record({ kind: fc.constant('put'), value: fc.nat(2 ** size - 1), size: fc.constant(size) }),
  );
const anyValue = fc.oneof(
  fc.nat(20),
  fc.nat(3000),
  fc.constantFrom(0, 2 ** 14 - 1, 2 ** 14, MAX_NUMBER),
  fc.nat(MAX_NUMBER),
);
/** Runs of zeros as long as the buckets of a latency have them. */
const anyRun = fc
  .tuple(fc.nat(2100), anyValue)
  .map(([zeros, value]) => [...new Array<number>(zeros).fill(0), value]);
const anyList = fc
  .oneof(
    fc.array(anyValue, { maxLength: 40 }),
    fc
      .array(fc.oneof(fc.array(fc.nat(9), { maxLength: 20 }), anyRun), { maxLength: 3 })
      .map((parts) => parts.flat().slice(0, 4096)),
  )
  .map((values) => ({ kind: 'list' as const, values }));
const anyStep = fc.oneof(
  anyPut,
  anyList,
  fc.record({ kind: fc.constant('float32' as const), value: fc.float({ noNaN: true }) }),
  fc.record({ kind: fc.constant('float64' as const), value: fc.double({ noNaN: true }) }),
  fc.record({ kind: fc.constant('uint32' as const), value: fc.nat(2 ** 32 - 1) }),
  fc.record({ kind: fc.constant('aside' as const), value: fc.nat(255) }),
) as fc.Arbitrary<Step>;

function write(steps: readonly Step[]): Uint8Array {
  const writer = new ByteWriter();
  writer.byte(7);
  const bits = new BitWriter(writer);
  for (const step of steps) {
    bits.room(step.kind === 'list' ? step.values.length + 1 : 1);
    if (step.kind === 'put') bits.put(step.value, step.size);
    else if (step.kind === 'list') bits.list(Int32Array.from(step.values), step.values.length);
    else if (step.kind === 'aside') bits.aside((bytes) => bytes.byte(step.value));
    else bits[step.kind](step.value);
  }
  bits.end();
  writer.byte(9);
  return writer.written().slice();
}

function read(bytes: Uint8Array, steps: readonly Step[]): unknown[] {
  const reader = new ByteReader(bytes);
  const first = reader.byte('first');
  const bits = new BitReader(reader);
  const found = steps.map((step) => {
    if (step.kind === 'put') return bits.take(step.size);
    if (step.kind === 'aside') return bits.aside((inner) => inner.byte('aside'));
    if (step.kind !== 'list') return bits[step.kind]();
    const into = new Int32Array(step.values.length).fill(-1);
    bits.list(into, into.length);
    return [...into];
  });
  bits.end();
  return [first, ...found, reader.byte('last'), reader.remaining];
}

it('bits, floats and lists come back, between bytes and behind them', () => {
  fc.assert(
    fc.property(fc.array(anyStep, { maxLength: 12 }), (steps) => {
      const expected = steps.map((step) => (step.kind === 'list' ? step.values : step.value));
      expect(read(write(steps), steps)).toEqual([7, ...expected, 9, 0]);
    }),
    { numRuns: 500 },
  );
});

it('bits that are cut are refused, wherever, and any others are read or refused', () => {
  fc.assert(
    fc.property(
      fc.array(anyStep, { minLength: 1, maxLength: 6 }),
      fc.nat(),
      fc.nat(255),
      (steps, where, byte) => {
        const bytes = write(steps);
        const at = where % bytes.length;
        expect(() => read(bytes.subarray(0, at), steps)).toThrow(SketchError);
        bytes[at] = byte;
        try {
          read(bytes, steps);
        } catch (error) {
          expect(error).toBeInstanceOf(SketchError);
        }
      },
    ),
    { numRuns: 500 },
  );
});

it('eight small numbers take a width and their bits, zeros next to nothing', () => {
  const sizeOf = (values: number[]) => write([{ kind: 'list', values }]).length - 2;
  expect(sizeOf([1, 2, 3, 0, 1, 2, 3, 3])).toBe(Math.ceil((4 + 8 * 2) / 8));
  expect(sizeOf(new Array<number>(2049).fill(0))).toBe(2);
});
