import { ByteWriter } from '../../../protocol/sketch/byte-writer.ts';
import { crc32 } from '../../../protocol/sketch/crc32.ts';

/** A body behind the right magic, format and checksum, as someone who means harm would send. */
export function sealed(body: Iterable<number>, format: number): Uint8Array {
  const writer = new ByteWriter();
  for (const byte of [0x44, 0x4c, 0x57, format, ...body]) writer.byte(byte);
  writer.uint32(crc32(writer.written()));
  return writer.written().slice();
}
