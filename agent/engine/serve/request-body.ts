import type { IncomingMessage } from 'node:http';
import { OipError } from './oip-error.ts';

/** Above this a body is read into one buffer of its declared length, instead of chunks that are joined at the end. */
export const PREALLOCATED_BYTES = 64 * 1024;

/** The widest element: where a tensor begins at a multiple of it, a typed array can lie over the body itself. */
const ALIGNMENT = 8;

const NOTHING = Buffer.alloc(0);

/** Called once: with the whole body, or with what is wrong. A callback, because it is on the path of every request. */
export type BodyReader = (error: OipError | null, body: Buffer) => void;

/**
 * The whole body. Refused before it is read when its declared length is over `maxBytes`. `jsonBytes` is the length
 * of the JSON in front of binary tensors: a large body is laid so that the first tensor after it is aligned.
 * Errors: 'body_too_large', and 'bad_request' when the client hangs up.
 */
export function readBody(
  req: IncomingMessage,
  maxBytes: number,
  jsonBytes: number,
  done: BodyReader,
): void {
  const declared = Number(req.headers['content-length'] ?? 0);
  const once = onlyOnce(done);
  if (declared > maxBytes) once(tooLarge(String(declared), maxBytes), NOTHING);
  else if (declared > PREALLOCATED_BYTES) readInto(req, declared, jsonBytes, once);
  else readChunks(req, maxBytes, once);
}

function onlyOnce(done: BodyReader): BodyReader {
  let called = false;
  return (error, body) => {
    if (called) return;
    called = true;
    done(error, body);
  };
}

/** Node's parser ends the request at its declared length, so the buffer is full when it ends. */
function readInto(
  req: IncomingMessage,
  declared: number,
  jsonBytes: number,
  done: BodyReader,
): void {
  const lead = (ALIGNMENT - (jsonBytes % ALIGNMENT)) % ALIGNMENT;
  // Pages that no byte has arrived for stay untouched: a lie about the length costs address space only.
  const body = Buffer.allocUnsafeSlow(lead + declared).subarray(lead);
  let size = 0;
  req.on('data', (chunk: Buffer) => {
    chunk.copy(body, size);
    size += chunk.length;
  });
  req.on('end', () => done(null, body));
  onCutOff(req, done);
}

function readChunks(req: IncomingMessage, maxBytes: number, done: BodyReader): void {
  const chunks: Buffer[] = [];
  let size = 0;
  req.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > maxBytes) {
      chunks.length = 0;
      req.removeAllListeners('data');
      done(tooLarge(`more than ${maxBytes}`, maxBytes), NOTHING);
      return;
    }
    chunks.push(chunk);
  });
  req.on('end', () => done(null, chunks.length === 1 ? chunks[0] : Buffer.concat(chunks)));
  onCutOff(req, done);
}

/** A client that hangs up is answered by nobody; the reader only has to be told. */
function onCutOff(req: IncomingMessage, done: BodyReader): void {
  req.on('error', (cause) =>
    done(new OipError('bad_request', 'the request was cut off', { cause }), NOTHING),
  );
}

function tooLarge(bytes: string, maxBytes: number): OipError {
  return new OipError('body_too_large', `a body of ${bytes} bytes exceeds the ${maxBytes} allowed`);
}
