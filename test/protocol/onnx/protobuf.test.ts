import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ProtobufReader } from '../../../protocol/onnx/protobuf.ts';
import { block, int, varint } from './onnx-bytes.ts';

const reader = (bytes: readonly number[]) => new ProtobufReader(Uint8Array.from(bytes));

describe('the protobuf reader', () => {
  it('reads every integer that a double holds, negative ones too', () => {
    fc.assert(
      fc.property(fc.maxSafeInteger(), (value) => {
        expect(reader(varint(value)).varint()).toBe(value);
      }),
    );
    // protobuf.dev/programming-guides/encoding: 150 is 96 01, and -2 ten bytes ending in 01.
    expect(reader([0x96, 0x01]).varint()).toBe(150);
    expect(reader([0xfe, ...new Array(8).fill(0xff), 0x01]).varint()).toBe(-2);
  });

  it('walks fields in order and skips what it is told to', () => {
    const fixed = [(3 << 3) | 5, 0, 0, 128, 63, (4 << 3) | 1, 1, 2, 3, 4, 5, 6, 7, 8];
    const message = reader([...int(1, 7), ...block(2, 'text'), ...fixed, ...int(1000, 1)]);
    expect(message.next()).toEqual({ field: 1, wire: 0 });
    expect(message.varint()).toBe(7);
    expect(message.next()).toEqual({ field: 2, wire: 2 });
    expect(message.text()).toBe('text');
    expect(message.next()).toEqual({ field: 3, wire: 5 });
    expect(message.float32()).toBe(1);
    expect(message.next()).toEqual({ field: 4, wire: 1 });
    message.skip(1);
    expect(message.next()).toEqual({ field: 1000, wire: 0 });
    message.skip(0);
    expect(message.next()).toBeNull();
  });

  it('reads views that do not begin at the start of their buffer', () => {
    const bytes = Uint8Array.of(9, 9, (1 << 3) | 5, 0, 0, 128, 63).subarray(2);
    const message = new ProtobufReader(bytes);
    message.next();
    expect(message.float32()).toBe(1);
  });

  it.each<[string, number[], RegExp]>([
    ['a varint without end', new Array(11).fill(0x80), /longer than 10 bytes/],
    ['a varint that is cut', [0x80], /cut off at byte 1/],
    ['field number 0', [0x00], /field number 0/],
    ['a length past the end', [0x0a, 5, 1], /5 bytes at byte 2 reaches past the 3/],
    ['a negative length', [0x0a, ...varint(-1)], /-1 bytes/],
    ['a group', [0x0b], /wire type 3/],
    ['a short fixed64', [0x09, 1, 2], /8-byte value is cut off/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => {
      const broken = reader(bytes);
      for (let tag = broken.next(); tag !== null; tag = broken.next()) broken.skip(tag.wire);
    }).toThrow(message);
  });
});
