import { BLOCK } from './proto-reader.ts';
import type { ProtoWriter } from './proto-writer.ts';

/** In front of every message: one byte that says whether it is compressed, four of its length, big-endian. */
export const PREFIX_BYTES = 5;

/** Below this, tensors are copied behind the rest into one write; above it, each is written from where it lies. */
const JOINED_BYTES = 64 * 1024;

const RAW_OUTPUT_CONTENTS = 6;
const RAW_TAG = RAW_OUTPUT_CONTENTS * 8 + BLOCK;

/**
 * The message in `writer`, with tensors behind it as its field 6, as it goes out: behind its prefix, and within field
 * `wrapper` of an outer message where that is not null.
 */
export function frameMessage(
  writer: ProtoWriter,
  tensors: readonly Buffer[] = [],
  wrapper: number | null = null,
): Buffer[] {
  let size = writer.length;
  for (const { length } of tensors) size += 1 + varintBytes(length) + length;
  const wrapBytes = wrapper === null ? 0 : 1 + varintBytes(size);
  const joined = size <= JOINED_BYTES;
  const lead = PREFIX_BYTES + wrapBytes;
  const head = Buffer.allocUnsafe(lead + (joined ? size : writer.length));
  head[0] = 0;
  head.writeUInt32BE(wrapBytes + size, 1);
  if (wrapper !== null) putField(head, PREFIX_BYTES, wrapper * 8 + BLOCK, size);
  writer.copyTo(head, lead);
  if (joined) {
    let at = lead + writer.length;
    for (const tensor of tensors) {
      at = putField(head, at, RAW_TAG, tensor.length);
      head.set(tensor, at);
      at += tensor.length;
    }
    return [head];
  }
  const parts: Buffer[] = [head];
  for (const tensor of tensors) {
    const field = Buffer.allocUnsafe(1 + varintBytes(tensor.length));
    putField(field, 0, RAW_TAG, tensor.length);
    parts.push(field, tensor);
  }
  return parts;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let left = value; left >= 0x80; left = Math.floor(left / 0x80)) bytes += 1;
  return bytes;
}

/** Returns the offset behind tag and length. */
function putField(target: Buffer, start: number, tag: number, length: number): number {
  target[start] = tag;
  let at = start + 1;
  let left = length;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) {
    target[at] = (left % 0x80) | 0x80;
    at += 1;
  }
  target[at] = left;
  return at + 1;
}
