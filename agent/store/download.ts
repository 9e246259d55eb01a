import { dirname } from 'node:path';
import { MIN_CHUNKED_BYTES } from '../../protocol/chunk-index.ts';
import { findChunks, keepIndex } from './chunk-places.ts';
import { type Download, fetchWhole } from './fetch.ts';
import { fetchChunkIndex, fetchChunks } from './fetch-chunks.ts';
import type { StoredFile } from './inventory.ts';

/**
 * Brings an artifact to `path`: large ones by the chunks that this host lacks, others, and all of an older control
 * plane, as a whole. What is at `path` afterwards is whole, verified and there for good. Throws as `fetchWhole` does.
 *
 * @param files what the store has already
 */
export async function downloadArtifact(
  download: Download,
  path: string,
  files: readonly StoredFile[],
): Promise<void> {
  const { disk, sizeBytes } = download;
  if (sizeBytes === null || sizeBytes < MIN_CHUNKED_BYTES) await fetchWhole(download);
  else await byChunks(download, sizeBytes, path, files);
  await disk.rename(download.partPath, path);
  await disk.syncFolder(dirname(path));
}

async function byChunks(
  download: Download,
  sizeBytes: number,
  path: string,
  files: readonly StoredFile[],
): Promise<void> {
  const index = await fetchChunkIndex(download, sizeBytes);
  if (index !== null) {
    const places = await findChunks(download.disk, files, index);
    if (await fetchChunks(download, index, places)) {
      // Before the file has its name: with it, the next version is looked for in this one.
      await keepIndex(download.disk, path, index);
      return;
    }
  }
  await fetchWhole(download);
}
