import type { Digest } from '../../protocol/ids.ts';
import { Refusal } from '../error.ts';
import { digestOfFile } from './digest.ts';
import type { Disk } from './disk.ts';
import { PartFile } from './part-file.ts';
import { type Answer, ask } from './request.ts';
import type { Source } from './source.ts';

/** One artifact to be had. */
export interface Download {
  readonly disk: Disk;
  readonly source: Source;
  readonly digest: Digest;
  /** Null: of a manifest nobody has said it; the digest decides. */
  readonly sizeBytes: number | null;
  /** What is read at most where the size is not known. */
  readonly maxBytes: number;
  /** Where it arrives. */
  readonly partPath: string;
  readonly signal: AbortSignal;
  /** Bytes of this host that a request carries. */
  onRequest?(bytes: number): void;
  /** So many bytes are here. */
  onProgress?(doneBytes: number): void;
  /** Resolves when the next bytes may be asked for. */
  pace?(bytes: number): Promise<void>;
}

/**
 * Downloads one artifact as a whole, going on where an earlier attempt stopped, and verifies it. A part that turns out
 * to be rotten is begun anew once: that was this disk's fault and not the server's. Throws `Refusal`:
 * 'artifact-unavailable' (try again later; the part stays), 'artifact-corrupt' (the bytes are not those of the digest;
 * the part is removed), and whatever the disk throws.
 */
export async function fetchWhole(download: Download): Promise<void> {
  const resumed = await receive(download);
  let actual = await digestOfFile(download.disk, download.partPath);
  if (actual !== download.digest && resumed) {
    await download.disk.remove(download.partPath);
    await receive(download);
    actual = await digestOfFile(download.disk, download.partPath);
  }
  if (actual === download.digest) return;
  await download.disk.remove(download.partPath);
  throw new Refusal(
    'artifact-corrupt',
    `downloaded bytes for ${download.digest}, but they hash to ${actual}`,
  );
}

/** Resolves with whether it went on with bytes that were here before. */
async function receive(download: Download): Promise<boolean> {
  const part = await PartFile.open(download.disk, download.partPath);
  try {
    const { sizeBytes } = download;
    // Of unknown size it may be whole already: small enough to begin anew.
    if (sizeBytes === null || part.sizeBytes > sizeBytes) await part.cut(0);
    const before = part.sizeBytes;
    if (before === sizeBytes) {
      // An agent that ended before it said so may have left it in the cache alone.
      await part.sync();
      return true;
    }
    const answer = await ask({ ...download, part: '', range: { first: before, last: null } });
    try {
      // A server that ignores Range starts over; so do we.
      await part.cut(answer.start);
      await append(download, part, answer);
    } finally {
      answer.close();
    }
    await part.sync();
    return answer.start > 0;
  } finally {
    await part.close();
  }
}

async function append(download: Download, part: PartFile, answer: Answer): Promise<void> {
  const { digest, sizeBytes, maxBytes } = download;
  const limit = sizeBytes ?? maxBytes;
  if ((answer.totalBytes ?? 0) > limit) throw await tooLong(download);
  for await (const chunk of answer.body) {
    if (part.sizeBytes + chunk.length > limit) throw await tooLong(download);
    await part.append(chunk);
    download.onProgress?.(part.sizeBytes);
    await download.pace?.(chunk.length);
  }
  const expected = sizeBytes ?? answer.totalBytes;
  if (expected !== null && part.sizeBytes < expected) {
    const told = `ended after ${part.sizeBytes} of ${expected} bytes`;
    throw new Refusal('artifact-unavailable', `download of ${digest}: ${told}`);
  }
}

async function tooLong({ disk, partPath, digest, sizeBytes, maxBytes }: Download) {
  await disk.remove(partPath);
  const bound =
    sizeBytes === null
      ? `${maxBytes} bytes that a manifest may have`
      : `${sizeBytes} bytes its manifest states`;
  return new Refusal('artifact-corrupt', `${digest} is longer than the ${bound}`);
}
