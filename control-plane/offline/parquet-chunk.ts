import type { DecodedArray, FileMetaData, ParquetParsers } from 'hyparquet';
import { parquetHeader, readPage } from 'hyparquet/src/column.js';
import { convert, DEFAULT_PARSERS } from 'hyparquet/src/convert.js';
import { decompressPage, readDataPage, readDataPageV2 } from 'hyparquet/src/datapage.js';
import type {
  ColumnDecoder,
  ColumnMetaData,
  DataPage,
  PageHeader,
  SchemaTree,
} from 'hyparquet/src/types.js';
import { compressors } from 'hyparquet-compressors';
import { cellOfValue } from './cell.ts';
import type { Cell, ColumnData } from './table.ts';

/** Of one column in one row group, decompressed: that much is in memory at once. Writers keep it far below. */
export const MAX_CHUNK_BYTES = 512 * 1024 * 1024;

const PARSERS: ParquetParsers = {
  ...DEFAULT_PARSERS,
  stringFromBytes: (bytes: Uint8Array | undefined) =>
    bytes && Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8'),
};

/** How a flat column (no list, no struct) of one row group is decoded. */
export function decoderOf(
  column: SchemaTree,
  root: SchemaTree,
  meta: ColumnMetaData,
): ColumnDecoder {
  return {
    pathInSchema: column.path,
    type: meta.type,
    element: column.element,
    schemaPath: [root, column],
    codec: meta.codec,
    parsers: PARSERS,
    compressors,
  };
}

/** Where the pages of a column chunk begin and how long they are, its dictionary included. */
export function chunkRange(meta: ColumnMetaData): { start: number; length: number } {
  const data = Number(meta.data_page_offset);
  const dictionary = Number(meta.dictionary_page_offset ?? 0);
  // Some writers leave 0 there when there is none.
  const start = dictionary > 0 ? Math.min(dictionary, data) : data;
  return { start, length: Number(meta.total_compressed_size) };
}

/**
 * The values of one column chunk, page by page. The library's own reader puts every row of a column that may be null
 * into a list of lists first, a push at a time, which took a third of a whole report; here values stay in the typed
 * arrays they were decoded into, and null rows are only counted.
 */
export function decodeChunk(bytes: ArrayBuffer, decoder: ColumnDecoder, rows: number): ColumnData {
  const reader = { view: new DataView(bytes), offset: 0 };
  const numbers = new Float64Array(rows);
  let cells: Cell[] | null = null;
  let dictionary: DecodedArray | undefined;
  let seen = 0;
  let filled = 0;
  while (seen < rows) {
    const header = parquetHeader(reader);
    requireBounds(header, rows - seen);
    if (header.type === 'DICTIONARY_PAGE') {
      dictionary = dictionaryOf(
        readPage(reader, header, decoder, undefined, undefined, 0).data,
        decoder,
      );
      continue;
    }
    const { page, values, encoded } = pageOf(reader, header, decoder);
    const decoded = encoded ? dictionary : undefined;
    if (encoded && decoded === undefined) throw new Error('a page without its dictionary');
    const from = cells === null ? fill(numbers, filled, values.dataPage, decoded, decoder) : -1;
    if (from === -1) {
      // Only at its first value can a column turn out to hold no numbers: its type is one.
      cells ??= [];
      appendCells(cells, page, values, decoded, decoder);
    } else filled = from;
    seen += page;
  }
  if (cells !== null) return { kind: 'cells', values: cells };
  return { kind: 'numbers', values: numbers.subarray(0, filled), missing: rows - filled };
}

/** Before anything is allocated for it: a header can say whatever it likes. */
function requireBounds(header: PageHeader, left: number): void {
  const size = Number(header.uncompressed_page_size);
  const { data_page_header: v1, data_page_header_v2: v2, dictionary_page_header: words } = header;
  const values = v1?.num_values ?? v2?.num_values ?? 0;
  // A value of a dictionary takes a bit at the least.
  if (
    !(size >= 0 && size <= MAX_CHUNK_BYTES) ||
    !(values >= 0 && values <= left) ||
    (words?.num_values ?? 0) > size * 8
  ) {
    throw new Error(`a page of ${values} values and ${size} bytes where ${left} values are left`);
  }
}

interface Page {
  /** Rows, null ones included. */
  readonly page: number;
  readonly values: DataPage;
  /** Whether the values are places in the dictionary. */
  readonly encoded: boolean;
}

function pageOf(
  reader: { view: DataView; offset: number },
  header: PageHeader,
  decoder: ColumnDecoder,
): Page {
  const { data_page_header: v1, data_page_header_v2: v2 } = header;
  const size = header.compressed_page_size;
  if (!(size >= 0 && reader.offset + size <= reader.view.byteLength)) {
    throw new Error(`a page of ${size} bytes at ${reader.offset} of ${reader.view.byteLength}`);
  }
  const bytes = new Uint8Array(reader.view.buffer, reader.offset, size);
  reader.offset += size;
  if (v1 !== undefined) {
    const plain = decompressPage(
      bytes,
      Number(header.uncompressed_page_size),
      decoder.codec,
      decoder.compressors,
    );
    const encoded = v1.encoding.endsWith('_DICTIONARY');
    return { page: v1.num_values, values: readDataPage(plain, v1, decoder), encoded };
  }
  if (v2 === undefined) throw new Error(`a page of type ${header.type}`);
  const encoded = v2.encoding.endsWith('_DICTIONARY');
  return { page: v2.num_values, values: readDataPageV2(bytes, header, decoder), encoded };
}

function dictionaryOf(data: DecodedArray | undefined, decoder: ColumnDecoder): DecodedArray {
  const values = convert(data ?? [], decoder);
  return isBigint(values) ? Float64Array.from(values, Number) : values;
}

/** How many numbers there are then; -1 when the values are none. */
function fill(
  numbers: Float64Array,
  from: number,
  data: DecodedArray,
  dictionary: DecodedArray | undefined,
  decoder: ColumnDecoder,
): number {
  if (dictionary !== undefined) {
    return fillFromDictionary(numbers, from, data as ArrayLike<number>, dictionary);
  }
  const values = convert(data, decoder);
  if (isBigint(values)) {
    for (let at = 0; at < values.length; at += 1) numbers[from + at] = Number(values[at]);
    return from + values.length;
  }
  if (values.length > 0 && typeof values[0] !== 'number') return -1;
  numbers.set(values as ArrayLike<number>, from);
  return from + values.length;
}

function fillFromDictionary(
  numbers: Float64Array,
  from: number,
  places: ArrayLike<number>,
  dictionary: DecodedArray,
): number {
  if (dictionary.length > 0 && typeof dictionary[0] !== 'number') return -1;
  for (let at = 0; at < places.length; at += 1) numbers[from + at] = dictionary[places[at]];
  return from + places.length;
}

function appendCells(
  cells: Cell[],
  rows: number,
  { dataPage, definitionLevels }: DataPage,
  dictionary: DecodedArray | undefined,
  decoder: ColumnDecoder,
): void {
  const values: ArrayLike<unknown> = dictionary ?? convert(dataPage, decoder);
  const isPresent = definitionLevels !== undefined && definitionLevels.length > 0;
  for (let row = 0, at = 0; row < rows; row += 1) {
    if (isPresent && definitionLevels[row] === 0) cells.push(null);
    else {
      const value = values[dictionary === undefined ? at : dataPage[at]];
      cells.push(typeof value === 'string' ? value : cellOf(value));
      at += 1;
    }
  }
}

function cellOf(value: unknown): Cell {
  return value instanceof Uint8Array ? Buffer.from(value).toString('hex') : cellOfValue(value);
}

function isBigint(values: DecodedArray): values is BigInt64Array | BigUint64Array {
  return (
    values instanceof BigInt64Array ||
    values instanceof BigUint64Array ||
    typeof values[0] === 'bigint'
  );
}

/** @throws Error when the row group lacks the column */
export function metaOf(group: FileMetaData['row_groups'][number], column: string): ColumnMetaData {
  const found = group.columns.find(({ meta_data: meta }) => meta?.path_in_schema[0] === column);
  if (found?.meta_data === undefined) throw new Error('a row group lacks it');
  return found.meta_data;
}
