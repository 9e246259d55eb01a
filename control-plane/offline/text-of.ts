import { open } from 'node:fs/promises';
import { DriftInputError } from './error.ts';

const CHUNK_BYTES = 1024 * 1024;

/**
 * A file's text, a mebibyte at a time.
 *
 * @throws DriftInputError `file` when it can't be read, `format` when it is no UTF-8
 */
export async function* textOf(
  path: string,
  name: string,
  onBytes: (bytes: number) => void,
): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  const file = await open(path).catch((cause: Error) => {
    throw new DriftInputError('file', `${name} can't be read: ${cause.message}`, { cause });
  });
  let offset = 0;
  try {
    for (;;) {
      const { bytesRead, buffer } = await file.read(
        Buffer.allocUnsafe(CHUNK_BYTES),
        0,
        CHUNK_BYTES,
      );
      onBytes(bytesRead);
      const text = decodeOr(decoder, buffer.subarray(0, bytesRead), bytesRead > 0, name, offset);
      if (text !== '') yield text;
      if (bytesRead === 0) return;
      offset += bytesRead;
    }
  } finally {
    await file.close();
  }
}

function decodeOr(
  decoder: TextDecoder,
  bytes: Uint8Array,
  stream: boolean,
  name: string,
  offset: number,
): string {
  try {
    return decoder.decode(bytes, { stream });
  } catch (cause) {
    throw new DriftInputError(
      'format',
      `${name} is no UTF-8 text (within the mebibyte from byte ${offset} on); convert it`,
      { cause },
    );
  }
}
