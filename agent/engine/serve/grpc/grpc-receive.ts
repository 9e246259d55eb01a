import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { type Encoding, requestEncoding } from '../content-encoding.ts';
import { type Unpacked, unpackGate } from '../content-encoding-gate.ts';
import { OipError } from '../oip-error.ts';
import { isOver } from './grpc-answer.ts';
import { type BodyBudget, MessageAssembler } from './message-assembler.ts';

/** What a connection allows its calls. */
export interface ReceiveLimits {
  readonly maxBodyBytes: number;
  readonly budget: BodyBudget;
}

/** A message, or the promise of one that is being unpacked, which whoever takes it must release. */
export type Received = Buffer | Promise<Unpacked>;

export interface Receiver {
  message(received: Received): void;
  /** No more messages; with the error that ended them, if one did. */
  end(error: OipError | null): void;
}

/** Reads the messages of a call, each as soon as it is whole. Nothing is called after `end`, nor once the client left. */
export function receive(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  limits: ReceiveLimits,
  receiver: Receiver,
): void {
  const { maxBodyBytes } = limits;
  let encoding: Encoding | null;
  try {
    const header = headers['grpc-encoding'];
    encoding = header === undefined ? null : requestEncoding(String(header));
  } catch (error) {
    stream.resume();
    receiver.end(error as OipError);
    return;
  }
  const assembler = new MessageAssembler(maxBodyBytes, limits.budget, (message, compressed) =>
    receiver.message(
      compressed ? unpacked(message, encoding, maxBodyBytes, () => isOver(stream)) : message,
    ),
  );
  let over = false;
  stream.on('data', (chunk: Buffer) => {
    if (over) return;
    try {
      assembler.push(chunk);
    } catch (error) {
      over = true;
      assembler.abandon();
      receiver.end(asOipError(error));
    }
  });
  stream.on('end', () => {
    if (over || stream.aborted) return;
    over = true;
    receiver.end(assembler.partial ? bad('the last message of the call is cut off') : null);
  });
  stream.on('close', () => {
    over = true;
    assembler.abandon();
  });
}

function unpacked(
  message: Buffer,
  encoding: Encoding | null,
  maxBytes: number,
  gone: () => boolean,
): Promise<Unpacked> {
  if (encoding !== null) return unpackGate.unpack(message, encoding, maxBytes, gone);
  return Promise.reject(bad('a message says it is compressed, but no grpc-encoding says how'));
}

/** Memory that cannot be had is no fault of the program. */
function asOipError(error: unknown): OipError {
  if (error instanceof OipError) return error;
  return new OipError('body_too_large', 'there is no room for a message so large now', {
    cause: error,
  });
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
