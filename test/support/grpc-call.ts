import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
} from 'node:http2';

export const INFER_PATH = '/inference.GRPCInferenceService/ModelInfer';

/** What came back of one call, whatever its form: trailers only, or headers, messages and trailers. */
export interface RawReply {
  readonly httpStatus: number;
  /** null: the stream ended without one. */
  readonly status: number | null;
  readonly headers: IncomingHttpHeaders;
  readonly trailers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly rstCode: number;
}

export async function openSession(address: string): Promise<ClientHttp2Session> {
  const session = connect(`http://${address}`);
  session.on('error', () => undefined);
  await new Promise<void>((resolve, reject) => {
    session.once('connect', () => resolve());
    session.once('error', reject);
  });
  return session;
}

export function begin(
  session: ClientHttp2Session,
  headers: OutgoingHttpHeaders = {},
): ClientHttp2Stream {
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': INFER_PATH,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    },
    { endStream: false },
  );
  stream.on('error', () => undefined);
  return stream;
}

/** Resolves when the stream is closed, however it ended. */
export function replyOf(stream: ClientHttp2Stream): Promise<RawReply> {
  return new Promise((resolve) => {
    let headers: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders = {};
    const chunks: Buffer[] = [];
    stream.on('response', (got) => {
      headers = got;
    });
    stream.on('trailers', (got) => {
      trailers = got;
    });
    stream.on('data', (chunk: Buffer) => chunks.push(chunk));
    stream.on('close', () => {
      const status = trailers['grpc-status'] ?? headers['grpc-status'];
      const reply = {
        httpStatus: Number(headers[':status'] ?? 0),
        status: status === undefined ? null : Number(status),
        headers,
        trailers,
        body: Buffer.concat(chunks),
        rstCode: stream.rstCode ?? 0,
      };
      // Not within the event: node 20 loops for ever in a client that resets a stream while it reads the end of another.
      setImmediate(() => resolve(reply));
    });
  });
}

/** One unary call with these bytes as its body. */
export function callWith(
  session: ClientHttp2Session,
  body: Buffer,
  headers: OutgoingHttpHeaders = {},
): Promise<RawReply> {
  const stream = begin(session, headers);
  const reply = replyOf(stream);
  stream.end(body);
  return reply;
}

/** A message behind its prefix. */
export function framed(message: Buffer, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}
