import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ByteReader } from '../../../protocol/sketch/byte-reader.ts';
import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import { SketchError } from '../../../protocol/sketch/error.ts';

/** The buffer's first size: every kind of write has to survive being the one that outgrows it. */
const FIRST_SIZE = 1024;

it.each([
  ['byte', 1],
  ['uint32', 4],
  ['float64', 8],
  ['float24', 3],
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

it('float24 is within 2^-16', () => {
  const anyOffset = fc.double({ min: -(2 ** 27), max: 2 ** 27, noNaN: true });
  fc.assert(
    fc.property(anyOffset, (value) => {
      const writer = new ByteWriter();
      writer.float24(value);
      const error = Math.abs(new ByteReader(writer.written()).float24('value') - value);
      expect(error).toBeLessThanOrEqual(1.001 * 2 ** -16 * Math.abs(value) + 2 ** -126);
    }),
  );
});
