import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { fromBase64, toBase64, toHex } from '../../protocol/bytes.ts';

describe('bytes as text', () => {
  it('agree with Buffer for any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        expect(toHex(bytes)).toBe(Buffer.from(bytes).toString('hex'));
        expect(toBase64(bytes)).toBe(Buffer.from(bytes).toString('base64'));
        expect(fromBase64(toBase64(bytes))).toEqual(bytes);
      }),
    );
  });

  it.each([0x7fff, 0x8000, 0x8001, 0x10001])('of %i bytes cross the chunk unharmed', (length) => {
    const bytes = Uint8Array.from({ length }, (_, at) => at % 251);
    expect(fromBase64(toBase64(bytes))).toEqual(bytes);
  });

  it('that are not base64 are refused', () => {
    expect(() => fromBase64('not base64!')).toThrow();
  });
});
