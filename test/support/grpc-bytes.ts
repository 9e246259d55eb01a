/** Protobuf by hand, for messages that no encoder writes. */

export function varint(value: number): Buffer {
  const bytes: number[] = [];
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) bytes.push((left % 0x80) | 0x80);
  return Buffer.from([...bytes, left]);
}

/** A length-delimited field. */
export function block(field: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content);
  return Buffer.concat([varint(field * 8 + 2), varint(bytes.length), bytes]);
}

export function repeated(unit: readonly number[], times: number): Buffer {
  return Buffer.alloc(unit.length * times, Buffer.from(unit));
}
