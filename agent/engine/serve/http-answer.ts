import type { IncomingMessage, ServerResponse } from 'node:http';
import { acceptedEncoding, type Encoding, MIN_COMPRESSED_BYTES, pack } from './content-encoding.ts';
import { type Headers, refusalOf } from './http-refusal.ts';
import type { InferAnswer } from './infer-response.ts';

/** Below this, tensors are copied behind their JSON into one write; above it, each is written from where it lies. */
const JOINED_BYTES = 64 * 1024;

/** As clients spell it; header names in a list are written as they stand. */
const HEADER_LENGTH_NAME = 'Inference-Header-Content-Length';

/** Writes an answer; one that is worth packing, and may be, is packed first, off this thread. */
export function sendAnswer(req: IncomingMessage, res: ServerResponse, answer: InferAnswer): void {
  const { json, tensors } = answer;
  const jsonBytes = Buffer.byteLength(json);
  let size = jsonBytes;
  const headers: Headers = ['Content-Type', 'application/json'];
  if (tensors !== null) {
    for (const tensor of tensors) size += tensor.length;
    headers[1] = 'application/octet-stream';
    headers.push(HEADER_LENGTH_NAME, jsonBytes);
  }
  if (size >= MIN_COMPRESSED_BYTES) {
    headers.push('Vary', 'Accept-Encoding');
    const encoding = acceptedEncoding(req.headers['accept-encoding']);
    if (encoding !== null) {
      sendPacked(res, answer, headers, encoding).catch((error: unknown) => refuse(res, error));
      return;
    }
  }
  if (tensors === null) writeText(res, 200, headers, jsonBytes, json, 'utf8');
  else if (size > JOINED_BYTES) write(res, 200, headers, size, [json, ...tensors]);
  else {
    // As a string of equal code points, which node writes together with the head.
    const text = join(json, jsonBytes, tensors, size).toString('latin1');
    writeText(res, 200, headers, size, text, 'latin1');
  }
}

function join(json: string, jsonBytes: number, tensors: readonly Buffer[], size: number): Buffer {
  const joined = Buffer.allocUnsafe(size);
  joined.write(json);
  let at = jsonBytes;
  for (const tensor of tensors) {
    joined.set(tensor, at);
    at += tensor.length;
  }
  return joined;
}

async function sendPacked(
  res: ServerResponse,
  { json, tensors }: InferAnswer,
  headers: Headers,
  encoding: Encoding,
): Promise<void> {
  const packed = await pack(Buffer.concat([Buffer.from(json), ...(tensors ?? [])]), encoding);
  headers.push('Content-Encoding', encoding);
  write(res, 200, headers, packed.length, [packed]);
}

/** Answers with an error in the protocol's shape, where the request has been read to its end. */
export function refuse(res: ServerResponse, error: unknown): void {
  const { status, headers, body } = refusalOf(error);
  write(res, status, headers, Buffer.byteLength(body), [body]);
}

/**
 * Head and body in one system call. `end(text)` alone would hold the socket back, write both as one string and then an
 * empty one, and send the two as a list of pieces: a tenth more CPU for each request.
 */
function writeText(
  res: ServerResponse,
  status: number,
  headers: Headers,
  length: number,
  text: string,
  encoding: 'utf8' | 'latin1',
): void {
  if (res.destroyed || res.headersSent) return;
  headers.push('Content-Length', length);
  res.writeHead(status, headers as string[]);
  res.write(text, encoding);
  // A pipelined answer has no socket before its turn.
  res.socket?.uncork();
  res.end();
}

function write(
  res: ServerResponse,
  status: number,
  headers: Headers,
  length: number,
  parts: readonly (string | Buffer)[],
): void {
  if (res.destroyed || res.headersSent) return;
  headers.push('Content-Length', length);
  // The types know lists of strings only; numbers are written as they are.
  res.writeHead(status, headers as string[]);
  for (let at = 0; at < parts.length - 1; at += 1) res.write(parts[at]);
  res.end(parts[parts.length - 1]);
}
