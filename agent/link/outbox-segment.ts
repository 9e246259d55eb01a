import { crc32 } from '../../protocol/sketch/crc32.ts';
import type { TelemetryMessage } from '../../protocol/telemetry.ts';

/** A window that the control plane has not acknowledged. */
export interface OutboxItem {
  readonly boot: string;
  readonly sequence: number;
  /** How many windows it adds up. */
  readonly windows: number;
  readonly frame: Uint8Array;
}

/**
 * Segments `from` to `to` in one file. A file that holds several replaces those that lie within: its rename is the
 * moment at which they no longer count.
 */
export interface SegmentName {
  readonly from: number;
  readonly to: number;
}

const RECORD_HEADER_BYTES = 8;
const NAME = /^(\d{12})(?:-(\d{12}))?\.seg$/;
const digits = (at: number) => String(at).padStart(12, '0');

export function nameOfSegment({ from, to }: SegmentName): string {
  return from === to ? `${digits(from)}.seg` : `${digits(from)}-${digits(to)}.seg`;
}

/** Null for a file that is no segment. */
export function parseSegmentName(name: string): SegmentName | null {
  const match = NAME.exec(name);
  if (match === null) return null;
  const from = Number(match[1]);
  const to = match[2] === undefined ? from : Number(match[2]);
  return from <= to ? { from, to } : null;
}

/** Whether `other` lies within `segment` and is another: then a crash kept it from being removed. */
export function replaces(segment: SegmentName, other: SegmentName): boolean {
  const within = segment.from <= other.from && other.to <= segment.to;
  return within && !(segment.from === other.from && segment.to === other.to);
}

export function itemOf(message: TelemetryMessage, frame: Uint8Array): OutboxItem {
  const { boot, sequence, windows } = message;
  return { boot, sequence, windows, frame };
}

/** record = length u32 LE, CRC-32 of the frame u32 LE, frame */
export function encodeRecord(frame: Uint8Array): Uint8Array {
  const record = Buffer.alloc(RECORD_HEADER_BYTES + frame.length);
  record.writeUInt32LE(frame.length, 0);
  record.writeUInt32LE(crc32(frame), 4);
  record.set(frame, RECORD_HEADER_BYTES);
  return record;
}

/**
 * The records of a segment up to the first that is cut, damaged or unknown to `read`.
 *
 * @param read null for a frame that this version of the agent did not write
 * @returns the items, and how many bytes from the start are good
 */
export function decodeSegment(
  bytes: Uint8Array,
  read: (frame: Uint8Array) => TelemetryMessage | null,
): { readonly items: OutboxItem[]; readonly goodBytes: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const items: OutboxItem[] = [];
  let at = 0;
  while (at + RECORD_HEADER_BYTES <= bytes.length) {
    const end = at + RECORD_HEADER_BYTES + view.getUint32(at, true);
    if (end > bytes.length) break;
    const frame = bytes.subarray(at + RECORD_HEADER_BYTES, end);
    if (crc32(frame) !== view.getUint32(at + 4, true)) break;
    const message = read(frame);
    if (message === null) break;
    items.push(itemOf(message, frame));
    at = end;
  }
  return { items, goodBytes: at };
}
