import type { ReadStream } from 'node:fs';
import { Readable } from 'node:stream';

/** Whoever reads nothing for so long has gone, or keeps others from downloading. */
const STALL_MS = 60_000;

/** A file as the body of a response, which gives its slot back when it ends, however it ends. */
export function slottedBody(
  stream: ReadStream,
  release: () => void,
  stallMs = STALL_MS,
): ReadableStream {
  let readBytes = 0;
  const watch = setInterval(() => {
    if (stream.bytesRead === readBytes) stream.destroy(new Error(`nothing read in ${stallMs} ms`));
    readBytes = stream.bytesRead;
  }, stallMs);
  watch.unref();
  stream.once('close', () => {
    clearInterval(watch);
    release();
  });
  return Readable.toWeb(stream) as ReadableStream;
}
