import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm, stat } from 'node:fs/promises';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Digest } from '../../protocol/ids.ts';
import { Refusal } from '../error.ts';

export interface Source {
  /** Base URL of the control plane, http or https. */
  readonly url: string;
  readonly token: string;
}

/** A server that stops sending for this long has gone; what came so far is kept for the next attempt. */
const STALL_TIMEOUT_MS = 15_000;

/**
 * Downloads one artifact into `partPath`, continuing where an earlier attempt stopped. Never reads a byte past
 * `sizeBytes`. Throws `Refusal`: 'artifact-unavailable' (try again later; the part stays), 'artifact-corrupt'
 * (the bytes are not those of the digest; the part is removed), 'disk-full'.
 */
export async function fetchArtifact(
  source: Source,
  digest: Digest,
  sizeBytes: number,
  partPath: string,
  signal: AbortSignal,
): Promise<void> {
  let offset = await sizeOf(partPath);
  if (offset > sizeBytes) {
    await rm(partPath);
    offset = 0;
  }
  if (offset < sizeBytes) await append(source, digest, sizeBytes, partPath, offset, signal);
  const actual = await digestOfFile(partPath);
  if (actual !== digest) {
    await rm(partPath);
    throw new Refusal(
      'artifact-corrupt',
      `downloaded ${sizeBytes} bytes for ${digest}, but they hash to ${actual}`,
    );
  }
}

async function append(
  source: Source,
  digest: Digest,
  sizeBytes: number,
  partPath: string,
  offset: number,
  signal: AbortSignal,
): Promise<void> {
  const response = await get(source, digest, offset, signal);
  // A server that ignores Range starts over; so do we.
  const start = response.statusCode === 206 ? offset : 0;
  const file = await open(partPath, start === 0 ? 'w' : 'r+', 0o600);
  let position = start;
  try {
    for await (const chunk of response as AsyncIterable<Buffer>) {
      if (position + chunk.length > sizeBytes) {
        throw new Refusal(
          'artifact-corrupt',
          `${digest} is longer than the ${sizeBytes} bytes its manifest states`,
        );
      }
      await file.write(chunk, 0, chunk.length, position);
      position += chunk.length;
    }
    await file.sync();
  } catch (cause) {
    if (cause instanceof Refusal) {
      await rm(partPath);
      throw cause;
    }
    throw unavailable(digest, cause, `stopped after ${position} of ${sizeBytes} bytes`);
  } finally {
    await file.close();
    response.destroy();
  }
  if (position < sizeBytes) {
    throw unavailable(digest, null, `ended after ${position} of ${sizeBytes} bytes`);
  }
}

function get(
  source: Source,
  digest: Digest,
  offset: number,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const url = new URL(`/api/v1/artifacts/${digest}`, source.url);
  const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
  return new Promise((resolve, reject) => {
    const req = request(
      url,
      {
        signal,
        timeout: STALL_TIMEOUT_MS,
        headers: { authorization: `Bearer ${source.token}`, range: `bytes=${offset}-` },
      },
      (res) => {
        if (res.statusCode === 200 || res.statusCode === 206) resolve(res);
        else {
          res.resume();
          reject(unavailable(digest, null, `the control plane answered ${res.statusCode}`));
        }
      },
    );
    req.on('timeout', () => req.destroy(new Error(`no data for ${STALL_TIMEOUT_MS} ms`)));
    req.on('error', (cause) => reject(unavailable(digest, cause, cause.message)));
    req.end();
  });
}

function unavailable(digest: Digest, cause: unknown, what: string): Refusal {
  const full = (cause as NodeJS.ErrnoException | null)?.code === 'ENOSPC';
  return new Refusal(
    full ? 'disk-full' : 'artifact-unavailable',
    `download of ${digest}: ${what}`,
    {
      cause,
    },
  );
}

async function sizeOf(path: string): Promise<number> {
  try {
    return (await stat(path)).size;
  } catch {
    return 0; // not begun yet
  }
}

/** `sha256:…` of a file, read in pieces so that a large model doesn't hold up the supervisor. */
export async function digestOfFile(path: string): Promise<Digest> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path)) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}
