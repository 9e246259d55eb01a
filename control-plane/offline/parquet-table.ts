import { type FileHandle, open } from 'node:fs/promises';
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from 'hyparquet';
import { DriftInputError } from './error.ts';
import { chunkRange, decodeChunk, decoderOf, MAX_CHUNK_BYTES, metaOf } from './parquet-chunk.ts';
import {
  type Block,
  type ColumnData,
  requireColumns,
  type Table,
  type TableColumn,
} from './table.ts';

/**
 * Row group by row group and column by column. Snappy, zstd, gzip, brotli and LZ4; columns of lists and structs are
 * named with their reason.
 *
 * @throws DriftInputError `file` or `format`
 */
export async function openParquet(
  path: string,
  name: string,
  onBytes: (bytes: number) => void,
): Promise<Table> {
  const handle = await open(path).catch((cause: Error) => {
    throw new DriftInputError('file', `${name} can't be read: ${cause.message}`, { cause });
  });
  const file = bufferOf(handle, (await handle.stat()).size, onBytes);
  let metadata: FileMetaData;
  try {
    metadata = await parquetMetadataAsync(file);
  } catch (cause) {
    await handle.close();
    throw unreadable(name, 'its footer', cause);
  }
  const schema = parquetSchema(metadata);
  const columns = schema.children.map(columnOf);
  requireColumns(
    columns.map((column) => column.name),
    name,
  );
  return {
    name,
    columns,
    rows: Number(metadata.num_rows),
    reading: 'apart',
    blocks: (names) => blocks({ file, metadata, schema, name }, names),
    close: () => handle.close(),
  };
}

function columnOf({ element, children }: SchemaTree): TableColumn {
  if (children.length > 0 || element.repetition_type === 'REPEATED') {
    return { name: element.name, reason: 'lists and structs are not compared; flatten them' };
  }
  const logical = element.logical_type?.type;
  const dated = /^(DATE|TIME)/;
  if (dated.test(element.converted_type ?? '') || dated.test(logical ?? '')) {
    return { name: element.name, reason: null, kind: 'datetime' };
  }
  if (element.type === 'INT96') return { name: element.name, reason: null, kind: 'datetime' };
  return { name: element.name, reason: null };
}

interface Source {
  readonly file: AsyncBuffer;
  readonly metadata: FileMetaData;
  readonly schema: SchemaTree;
  readonly name: string;
}

async function* blocks(source: Source, columns: readonly string[]): AsyncGenerator<Block> {
  let firstRow = 0;
  for (const group of source.metadata.row_groups) {
    const data: ColumnData[] = [];
    for (const column of columns) data.push(await chunkOf(source, group, column, firstRow));
    const rows = Number(group.num_rows);
    yield { firstRow, rows, data };
    firstRow += rows;
  }
}

async function chunkOf(
  { file, schema, name }: Source,
  group: RowGroup,
  column: string,
  firstRow: number,
): Promise<ColumnData> {
  try {
    const meta = metaOf(group, column);
    if (Number(meta.total_uncompressed_size) > MAX_CHUNK_BYTES) {
      throw new Error(
        `a row group of ${meta.total_uncompressed_size} bytes, at most ${MAX_CHUNK_BYTES}; write smaller ones`,
      );
    }
    const tree = schema.children.find(({ element }) => element.name === column);
    if (tree === undefined) throw new Error('the schema lacks it');
    const { start, length } = chunkRange(meta);
    const bytes = await file.slice(start, start + length);
    return decodeChunk(bytes, decoderOf(tree, schema, meta), Number(group.num_rows));
  } catch (cause) {
    throw unreadable(name, `column "${column}", rows from ${firstRow + 1} on`, cause);
  }
}

function bufferOf(
  handle: FileHandle,
  byteLength: number,
  onBytes: (bytes: number) => void,
): AsyncBuffer {
  return {
    byteLength,
    async slice(start, end = byteLength) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, byteLength) - start));
      for (let at = 0; at < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, at, bytes.length - at, start + at);
        if (bytesRead === 0) throw new Error(`the file ends at byte ${start + at}`);
        at += bytesRead;
      }
      onBytes(bytes.length);
      return bytes.buffer;
    },
  };
}

function unreadable(name: string, place: string, cause: unknown): DriftInputError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DriftInputError('format', `${name}: ${place} can't be read as Parquet: ${reason}`, {
    cause,
  });
}
