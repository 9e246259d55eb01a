import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Client } from './client.ts';
import { CliError } from './error.ts';

/** A connection that breaks is tried again this often; each time what has arrived is kept. */
const ATTEMPTS = 5;

/** `sha256:…` of a file, streamed. */
export async function digestOfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

export interface Uploaded {
  readonly digest: string;
  readonly sizeBytes: number;
  /** 0 when the control plane had it already. */
  readonly sentBytes: number;
}

/** Brings a file to the control plane under its digest: only what is missing there is sent. */
export async function uploadFile(
  client: Client,
  path: string,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<Uploaded> {
  const digest = await digestOfFile(path);
  const sizeBytes = (await stat(path)).size;
  let sentBytes = 0;
  for (let attempt = 1; ; attempt += 1) {
    const offset = await heldBytes(client, digest, sizeBytes);
    if (offset === null) return { digest, sizeBytes, sentBytes };
    try {
      await sendFrom(client, path, digest, offset, sizeBytes, onProgress);
      sentBytes += sizeBytes - offset;
    } catch (error) {
      const refused = error instanceof CliError && error.status !== null;
      if (refused || attempt === ATTEMPTS) throw error;
    }
  }
}

/** Where the upload continues; null when all of it is there. */
async function heldBytes(
  client: Client,
  digest: string,
  sizeBytes: number,
): Promise<number | null> {
  const path = `/api/v1/artifacts/${digest}`;
  const answer = await client.send('HEAD', path, {});
  if (answer.status === 200) return null;
  // HEAD has no body to read a refusal from; GET says why.
  if (answer.status !== 404) throw client.problem(await client.send('GET', path, {}));
  const offset = Number(answer.headers['upload-offset'] ?? 0);
  // A full .part was never verified: its writer died between the last byte and the check.
  return offset < sizeBytes ? offset : 0;
}

async function sendFrom(
  client: Client,
  path: string,
  digest: string,
  offset: number,
  sizeBytes: number,
  onProgress: (doneBytes: number, totalBytes: number) => void,
): Promise<void> {
  const stream = createReadStream(path, { start: offset });
  let done = offset;
  stream.on('data', (chunk) => {
    done += chunk.length;
    onProgress(done, sizeBytes);
  });
  const headers: Record<string, string | number> = {
    'content-type': 'application/octet-stream',
    'content-length': sizeBytes - offset,
  };
  if (offset > 0) headers['content-range'] = `bytes ${offset}-${sizeBytes - 1}/${sizeBytes}`;
  const answer = await client.send('PUT', `/api/v1/artifacts/${digest}`, headers, stream);
  if (answer.status >= 400) throw client.problem(answer);
}
