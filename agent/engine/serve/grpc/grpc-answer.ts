import {
  constants,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
  type ServerStreamResponseOptions,
} from 'node:http2';
import { refusalOf } from './status.ts';

const { NGHTTP2_NO_ERROR } = constants;

const CONTENT_TYPE = 'application/grpc';

const HEADERS: OutgoingHttpHeaders = {
  ':status': 200,
  'content-type': CONTENT_TYPE,
  'grpc-accept-encoding': 'identity,gzip,deflate',
};
const OK: OutgoingHttpHeaders = { 'grpc-status': '0' };

/** `sendDate` is node's own option, which its types leave out: gRPC has no use for a date in every answer. */
type RespondOptions = ServerStreamResponseOptions & { readonly sendDate: false };
const WITH_TRAILERS: RespondOptions = { waitForTrailers: true, sendDate: false };
const TRAILERS_ONLY: RespondOptions = { endStream: true, sendDate: false };

/** Has the client left, or was it answered? */
export function isOver(stream: ServerHttp2Stream): boolean {
  return stream.destroyed || stream.closed || stream.writableEnded;
}

/** The one answer of a call: headers, message and trailers leave in one write to the socket. */
export function sendAnswer(stream: ServerHttp2Stream, parts: readonly Buffer[]): void {
  if (isOver(stream) || stream.headersSent) return;
  stream.cork();
  stream.respond(HEADERS, WITH_TRAILERS);
  stream.on('wantTrailers', sendOk);
  for (const part of parts) stream.write(part);
  stream.end();
  stream.uncork();
}

function sendOk(this: ServerHttp2Stream): void {
  this.sendTrailers(OK);
}

/** Begins an answer of many messages; `sendEnd` or `sendRefusal` ends it. */
export function sendHeaders(stream: ServerHttp2Stream): void {
  if (!isOver(stream) && !stream.headersSent) stream.respond(HEADERS, WITH_TRAILERS);
}

export function sendEnd(stream: ServerHttp2Stream): void {
  if (isOver(stream)) return;
  stream.on('wantTrailers', sendOk);
  stream.end();
}

/** Ends a call with an error; where nothing was sent yet in one frame, as trailers only. */
export function sendRefusal(stream: ServerHttp2Stream, error: unknown): void {
  if (isOver(stream)) return;
  const { trailers } = refusalOf(error);
  if (stream.headersSent) {
    // A reset could overtake the trailers; what still comes of the requests is passed over.
    stream.on('wantTrailers', () => stream.sendTrailers(trailers));
    stream.end();
    stream.resume();
    return;
  }
  stream.respond({ ...HEADERS, ...trailers }, TRAILERS_ONLY);
  // What still comes of the request is not wanted; a client told so by NO_ERROR keeps the answer (RFC 9113, 8.1).
  if (!stream.readableEnded) stream.once('finish', () => stream.close(NGHTTP2_NO_ERROR));
}

/** To something that is no gRPC call at all. */
export function sendHttpStatus(
  stream: ServerHttp2Stream,
  status: 405 | 415,
  headers: OutgoingHttpHeaders = {},
): void {
  stream.respond({ ':status': status, ...headers }, TRAILERS_ONLY);
  stream.close(NGHTTP2_NO_ERROR);
}
