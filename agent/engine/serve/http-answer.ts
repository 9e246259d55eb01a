import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  acceptedEncoding,
  type Encoding,
  MIN_COMPRESSED_BYTES,
  pack,
  SUPPORTED_ENCODINGS,
} from './content-encoding.ts';
import { HEADER_LENGTH } from './header-length.ts';
import type { InferAnswer } from './infer-response.ts';
import { OipError } from './oip-error.ts';

/** Below this, tensors are copied behind their JSON into one write; above it, each is written from where it lies. */
const JOINED_BYTES = 64 * 1024;

/** How long a refused client may take to read the refusal before the unread rest of its body is cut off. */
const REFUSAL_GRACE_MS = 500;

type Headers = Record<string, string | number>;

/** Writes an answer; null once it is handed to the socket, a promise of that where it is packed first. */
export function sendAnswer(
  req: IncomingMessage,
  res: ServerResponse,
  answer: InferAnswer,
): Promise<void> | null {
  const { json, tensors } = answer;
  const jsonBytes = Buffer.byteLength(json);
  const headers: Headers = { 'content-type': 'application/json' };
  let size = jsonBytes;
  if (tensors !== null) {
    for (const tensor of tensors) size += tensor.length;
    headers['content-type'] = 'application/octet-stream';
    headers[HEADER_LENGTH] = jsonBytes;
  }
  if (size >= MIN_COMPRESSED_BYTES) {
    headers.vary = 'accept-encoding';
    const encoding = acceptedEncoding(req.headers['accept-encoding']);
    if (encoding !== null) return sendPacked(res, answer, headers, encoding);
  }
  if (tensors === null) write(res, 200, headers, jsonBytes, [json]);
  else if (size > JOINED_BYTES) write(res, 200, headers, size, [json, ...tensors]);
  else write(res, 200, headers, size, [Buffer.concat([Buffer.from(json), ...tensors], size)]);
  return null;
}

async function sendPacked(
  res: ServerResponse,
  { json, tensors }: InferAnswer,
  headers: Headers,
  encoding: Encoding,
): Promise<void> {
  const packed = await pack(Buffer.concat([Buffer.from(json), ...(tensors ?? [])]), encoding);
  headers['content-encoding'] = encoding;
  write(res, 200, headers, packed.length, [packed]);
}

/** Answers with an error in the protocol's shape. `closing`: the body was not read to its end, so the connection ends. */
export function refuse(res: ServerResponse, error: unknown, closing = false): void {
  const known =
    error instanceof OipError
      ? error
      : new OipError('model_failed', 'internal error', { cause: error });
  const headers: Headers = { 'content-type': 'application/json' };
  if (known.code === 'unsupported_encoding') headers['accept-encoding'] = SUPPORTED_ENCODINGS;
  if (closing && !res.headersSent) {
    headers.connection = 'close';
    // Give the answer time to arrive before the unread rest of the body resets the connection.
    res.once('finish', () => setTimeout(() => res.socket?.destroy(), REFUSAL_GRACE_MS).unref());
  }
  write(res, known.status, headers, Buffer.byteLength(known.body), [known.body]);
}

function write(
  res: ServerResponse,
  status: number,
  headers: Headers,
  length: number,
  parts: readonly (string | Buffer)[],
): void {
  if (res.destroyed || res.headersSent) return;
  headers['content-length'] = length;
  res.writeHead(status, headers);
  for (let at = 0; at < parts.length - 1; at += 1) res.write(parts[at]);
  res.end(parts[parts.length - 1]);
}
