import type { IncomingMessage } from 'node:http';
import { OipError } from './oip-error.ts';

/** Above this a body is read into one buffer of its declared length, instead of chunks that are joined at the end. */
export const PREALLOCATED_BYTES = 64 * 1024;

/** The widest element: where a tensor begins at a multiple of it, a typed array can lie over the body itself. */
const ALIGNMENT = 8;

/**
 * The whole body. Refused before it is read when its declared length is over `maxBytes`. `jsonBytes` is the length
 * of the JSON in front of binary tensors: a large body is laid so that the first tensor after it is aligned.
 * Throws 'body_too_large', and 'bad_request' when the client hangs up.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number,
  jsonBytes: number,
): Promise<Buffer> {
  const declared = Number(req.headers['content-length'] ?? 0);
  if (declared > maxBytes) return Promise.reject(tooLarge(String(declared), maxBytes));
  return declared > PREALLOCATED_BYTES
    ? readInto(req, declared, jsonBytes)
    : readChunks(req, maxBytes);
}

/** Node's parser ends the request at its declared length, so the buffer is full when it ends. */
function readInto(req: IncomingMessage, declared: number, jsonBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const lead = (ALIGNMENT - (jsonBytes % ALIGNMENT)) % ALIGNMENT;
    // Pages that no byte has arrived for stay untouched: a lie about the length costs address space only.
    const body = Buffer.allocUnsafeSlow(lead + declared).subarray(lead);
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      chunk.copy(body, size);
      size += chunk.length;
    });
    req.on('end', () => resolve(body));
    onCutOff(req, reject);
  });
}

function readChunks(req: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    req.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > maxBytes) {
        chunks.length = 0;
        req.removeAllListeners('data');
        reject(tooLarge(`more than ${maxBytes}`, maxBytes));
        return;
      }
      chunks.push(chunk);
    });
    req.on('end', () => resolve(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
    onCutOff(req, reject);
  });
}

function onCutOff(req: IncomingMessage, reject: (error: OipError) => void): void {
  req.on('error', (cause) =>
    reject(new OipError('bad_request', 'the request was cut off', { cause })),
  );
  // A client that hangs up is answered by nobody; the promise only has to settle.
  req.on('aborted', () => reject(new OipError('bad_request', 'the client hung up')));
}

function tooLarge(bytes: string, maxBytes: number): OipError {
  return new OipError('body_too_large', `a body of ${bytes} bytes exceeds the ${maxBytes} allowed`);
}
