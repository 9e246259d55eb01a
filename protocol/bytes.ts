import { z } from 'zod';

/** A binary field of at most `max` bytes (exactly `max` when `exact`). msgpack carries it without base64. */
export function bytesSchema(max: number, exact = false) {
  return z
    .custom<Uint8Array>((value) => value instanceof Uint8Array, { message: 'must be binary' })
    .refine((bytes) => (exact ? bytes.length === max : bytes.length <= max), {
      message: exact ? `must be ${max} bytes` : `must be at most ${max} bytes`,
    })
    .meta({ bytes: max, exact });
}

const HEX = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'));

export function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX[byte];
  return text;
}

/** The bytes of a text of `toHex`; of any other text, nobody knows. */
export function fromHex(text: string): Uint8Array {
  return Uint8Array.from({ length: text.length / 2 }, (_, at) =>
    Number.parseInt(text.slice(2 * at, 2 * at + 2), 16),
  );
}

export function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}

/** Standard base64 without a dependency on Node's Buffer, so that a browser reads profiles too. */
export function toBase64(bytes: Uint8Array): string {
  let text = '';
  for (let at = 0; at < bytes.length; at += 0x8000) {
    text += String.fromCharCode(...bytes.subarray(at, at + 0x8000));
  }
  return btoa(text);
}

/** Throws a `DOMException` on text that is not base64; callers wrap it. */
export function fromBase64(text: string): Uint8Array {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let at = 0; at < binary.length; at += 1) bytes[at] = binary.charCodeAt(at);
  return bytes;
}
