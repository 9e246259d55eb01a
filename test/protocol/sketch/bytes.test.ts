import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ByteReader } from '../../../protocol/sketch/byte-reader.ts';
import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import { SketchError } from '../../../protocol/sketch/error.ts';

/** The buffer's first size: every kind of write has to survive being the one that outgrows it. */
const FIRST_SIZE = 4096;

it.each([
  ['byte', 1],
  ['uint32', 4],
  ['float64', 8],
  ['float16', 2],
  ['count', 2],
] as const)('a %s is whole wherever the buffer grows', (kind, size) => {
  const alone = new ByteWriter();
  alone[kind](200, 'value');
  for (let before = FIRST_SIZE - size - 1; before <= FIRST_SIZE + 1; before += 1) {
    const writer = new ByteWriter();
    for (let k = 0; k < before; k += 1) writer.byte(7);
    writer[kind](200, 'value');
    writer.byte(9);
    expect([...writer.written().subarray(before)]).toEqual([...alone.written(), 9]);
    expect(alone.written()).toHaveLength(size);
  }
});

it('counts come back, in as few bytes as they take', () => {
  fc.assert(
    fc.property(fc.maxSafeNat(), (value) => {
      const writer = new ByteWriter();
      writer.count(value, 'value');
      expect(writer.written()).toHaveLength(Math.ceil(Math.max(1, value.toString(2).length) / 7));
      expect(new ByteReader(writer.written()).count('value')).toBe(value);
    }),
  );
});

it.each([
  ['longer than needed', [0x81, 0x00]],
  ['2^53', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x10]],
  ['nine bytes', [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01]],
  ['no end', [0x80]],
])('refuses a count: %s', (_, bytes) => {
  expect(() => new ByteReader(Uint8Array.from(bytes)).count('value')).toThrow(SketchError);
});

it('float16 is within 2^-11, and within 2^-14 near 0', () => {
  const anyOffset = fc.oneof(
    fc.double({ min: -(2 ** 27), max: 2 ** 27, noNaN: true }),
    fc.double({ min: -4, max: 4, noNaN: true }),
    fc.constantFrom(0, -0, 0.125, -0.125, 0.125 - 2 ** -14, 2 ** 27, 1 - 2 ** -20),
  );
  fc.assert(
    fc.property(anyOffset, (value) => {
      const error = Math.abs(roundTrip(value) - value);
      expect(error).toBeLessThanOrEqual(Math.max(1.0001 * 2 ** -11 * Math.abs(value), 2 ** -14));
    }),
    { numRuns: 2000 },
  );
});

it('float16 has a finite number for each code, and writes it again as the same', () => {
  for (let code = 0; code < 2 ** 16; code += 1) {
    const value = new ByteReader(Uint8Array.of(code & 0xff, code >>> 8)).float16('value');
    if (!Number.isFinite(value) || roundTrip(value) !== value + 0) {
      throw new Error(`code ${code}: ${value} came back as ${roundTrip(value)}`);
    }
  }
  expect(roundTrip(1e300)).toBe(2 ** 28 - 2 ** 17);
  expect(roundTrip(-1e300)).toBe(2 ** 17 - 2 ** 28);
});

it('a cleared writer begins anew, whatever it held', () => {
  const writer = new ByteWriter();
  for (const size of [10, 5000, 300_000]) {
    for (let k = 0; k < size; k += 1) writer.byte(7);
    writer.clear();
    writer.count(300, 'value');
    expect([...writer.written()]).toEqual([0xac, 0x02]);
    writer.clear();
  }
});

function roundTrip(value: number): number {
  const writer = new ByteWriter();
  writer.float16(value);
  return new ByteReader(writer.written()).float16('value') + 0;
}
