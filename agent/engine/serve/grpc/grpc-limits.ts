import type { ServerHttp2Session, ServerHttp2Stream, ServerOptions } from 'node:http2';
import { OipError } from '../oip-error.ts';
import { sendRefusal } from './grpc-answer.ts';

const MEBIBYTE = 1024 * 1024;

/** Calls at once on one connection; clients queue what is beyond. */
const MAX_STREAMS = 1000;
/** All metadata of one call. Ours are a few hundred bytes; clients add tracing and credentials. */
const MAX_METADATA_BYTES = 16 * 1024;
const MAX_METADATA_PAIRS = 64;
/** Bytes that a client may send ahead, per call and per connection: HTTP/2's own 64 KiB halve the rate of a tensor. */
const STREAM_WINDOW_BYTES = MEBIBYTE;
const SESSION_WINDOW_BYTES = 8 * MEBIBYTE;
const MAX_FRAME_BYTES = 256 * 1024;
/** Frames that break the protocol, on one connection, before it is ended. */
const MAX_INVALID_FRAMES = 100;

/** A connection without a frame for so long is let go; clients come back by themselves. */
const IDLE_SESSION_MS = 15 * 60_000;
/** A call whose message has not arrived in this time, and how often that is looked at. */
const REQUEST_TIMEOUT_MS = 120_000;
const SWEEP_MS = 10_000;

/** What one connection may cost. */
export class SessionLimits {
  readonly serverOptions: ServerOptions;
  /** Calls whose message is not complete, and when they began. */
  readonly #awaited = new Map<ServerHttp2Stream, number>();
  readonly #sweeper: NodeJS.Timeout;

  constructor(maxBodyBytes: number) {
    this.serverOptions = {
      settings: {
        enablePush: false,
        initialWindowSize: STREAM_WINDOW_BYTES,
        maxConcurrentStreams: MAX_STREAMS,
        maxFrameSize: MAX_FRAME_BYTES,
        maxHeaderListSize: MAX_METADATA_BYTES,
      },
      maxHeaderListPairs: MAX_METADATA_PAIRS,
      maxSessionInvalidFrames: MAX_INVALID_FRAMES,
      // In MiB. Answers that wait for a slow reader count here: below two of the largest, node would refuse calls.
      maxSessionMemory: 16 + 2 * Math.ceil(maxBodyBytes / MEBIBYTE),
    };
    this.#sweeper = setInterval(() => this.#sweep(), SWEEP_MS).unref();
  }

  apply(session: ServerHttp2Session): void {
    session.setLocalWindowSize(SESSION_WINDOW_BYTES);
    // GOAWAY: calls on their way, a health watch for one, go on.
    session.setTimeout(IDLE_SESSION_MS, () => session.close());
  }

  /** Watches over a call until the function it returns says that its message is there. */
  await(stream: ServerHttp2Stream): () => void {
    this.#awaited.set(stream, performance.now());
    const settled = () => {
      this.#awaited.delete(stream);
    };
    stream.once('close', settled);
    return settled;
  }

  stop(): void {
    clearInterval(this.#sweeper);
  }

  #sweep(): void {
    const oldest = performance.now() - REQUEST_TIMEOUT_MS;
    for (const [stream, sinceMs] of this.#awaited) {
      if (sinceMs > oldest) break;
      this.#awaited.delete(stream);
      sendRefusal(
        stream,
        new OipError('bad_request', `no message within ${REQUEST_TIMEOUT_MS / 1000} s`),
      );
    }
  }
}
