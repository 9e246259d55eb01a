import { crc32 } from '../../protocol/sketch/crc32.ts';
import { DECISION_BYTES, DecisionRecords } from '../engine/observe/decision-record.ts';

/**
 * What a segment file is made of, little-endian. The labels at the end of a block are written later, in place, and so
 * stand outside of its checksum.
 *
 *     block   := bytes u32 (all of it), crc32 u32 (of what follows, up to the labels), kind u8, number u16, …
 *     source  := kind 1, a `DecisionSource` as JSON; `number` is how rows of this segment refer to it
 *     rows    := kind 2, axes u8, engine f64, windowStartMs f64, windowMs u32, atMs f64, rows u32,
 *                records (rows × (29 + axes)), labels (rows × 9)
 *     label   := state u8, value f64
 */
const SOURCE = 1;
const ROWS = 2;
const CRC_AT = 4;
const KIND_AT = 8;
const NUMBER_AT = 9;
const JSON_AT = 11;
const AXES_AT = 11;
const ENGINE_AT = 12;
const WINDOW_AT = 20;
const WINDOW_MS_AT = 28;
const TIME_AT = 32;
const ROWS_AT = 40;
const RECORDS_AT = 44;

export const LABEL_BYTES = 9;

/** `joined`: counted in memory, and not yet in a window that is on its way. */
export const LABEL_STATE = { none: 0, joined: 1, sent: 2 } as const;

export interface RowsBlock {
  readonly kind: 'rows';
  readonly bytes: number;
  readonly source: number;
  readonly engine: number;
  readonly windowStartMs: number;
  readonly windowMs: number;
  /** When its rows had been answered. */
  readonly atMs: number;
  readonly records: DecisionRecords;
  /** First byte of its labels, from the start of the block. */
  readonly labelsAt: number;
}

export type Block =
  | RowsBlock
  | {
      readonly kind: 'source';
      readonly bytes: number;
      readonly number: number;
      readonly json: string;
    };

export function sourceBlock(number: number, json: string): Buffer {
  const text = Buffer.from(json);
  const block = Buffer.alloc(JSON_AT + text.length);
  block[KIND_AT] = SOURCE;
  block.writeUInt16LE(number, NUMBER_AT);
  block.set(text, JSON_AT);
  return sealed(block, block.length);
}

export interface RowsToStore {
  readonly source: number;
  readonly axes: number;
  readonly engine: number;
  readonly windowStartMs: number;
  readonly windowMs: number;
  readonly atMs: number;
  readonly records: Uint8Array;
}

export function rowsBlock(stored: RowsToStore): Buffer {
  const rows = stored.records.length / (DECISION_BYTES + stored.axes);
  const labelsAt = RECORDS_AT + stored.records.length;
  const block = Buffer.alloc(labelsAt + rows * LABEL_BYTES);
  block[KIND_AT] = ROWS;
  block.writeUInt16LE(stored.source, NUMBER_AT);
  block[AXES_AT] = stored.axes;
  block.writeDoubleLE(stored.engine, ENGINE_AT);
  block.writeDoubleLE(stored.windowStartMs, WINDOW_AT);
  block.writeUInt32LE(stored.windowMs, WINDOW_MS_AT);
  block.writeDoubleLE(stored.atMs, TIME_AT);
  block.writeUInt32LE(rows, ROWS_AT);
  block.set(stored.records, RECORDS_AT);
  return sealed(block, labelsAt);
}

function sealed(block: Buffer, checkedBytes: number): Buffer {
  block.writeUInt32LE(block.length, 0);
  block.writeUInt32LE(crc32(block.subarray(KIND_AT, checkedBytes)), CRC_AT);
  return block;
}

/** The block at `at`; null where the bytes are no whole block. */
export function readBlock(bytes: Buffer, at: number): Block | null {
  if (at + JSON_AT > bytes.length) return null;
  const length = bytes.readUInt32LE(at);
  if (length < JSON_AT || at + length > bytes.length) return null;
  const block = bytes.subarray(at, at + length);
  const read = block[KIND_AT] === ROWS ? readRows(block) : readSource(block);
  if (read === null) return null;
  const checked = block.subarray(KIND_AT, read.kind === 'rows' ? read.labelsAt : length);
  return crc32(checked) === block.readUInt32LE(CRC_AT) ? read : null;
}

function readSource(block: Buffer): Block | null {
  if (block[KIND_AT] !== SOURCE) return null;
  const number = block.readUInt16LE(NUMBER_AT);
  return { kind: 'source', bytes: block.length, number, json: block.toString('utf8', JSON_AT) };
}

function readRows(block: Buffer): RowsBlock | null {
  if (block.length < RECORDS_AT) return null;
  const axes = block[AXES_AT];
  const rows = block.readUInt32LE(ROWS_AT);
  const labelsAt = RECORDS_AT + rows * (DECISION_BYTES + axes);
  if (rows === 0 || labelsAt + rows * LABEL_BYTES !== block.length) return null;
  return {
    kind: 'rows',
    bytes: block.length,
    source: block.readUInt16LE(NUMBER_AT),
    engine: block.readDoubleLE(ENGINE_AT),
    windowStartMs: block.readDoubleLE(WINDOW_AT),
    windowMs: block.readUInt32LE(WINDOW_MS_AT),
    atMs: block.readDoubleLE(TIME_AT),
    records: new DecisionRecords(block.subarray(RECORDS_AT, labelsAt), axes),
    labelsAt,
  };
}
