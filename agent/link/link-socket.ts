import type { IncomingMessage } from 'node:http';

/** What a link needs of a WebSocket, be it that of `ws` or a browser's. */
export interface LinkSocket {
  on(event: 'message' | 'ping', listener: (data: Uint8Array) => void): unknown;
  /** The control plane answered, and not with a WebSocket. A browser says of it that there was an error. */
  on(
    event: 'unexpected-response',
    listener: (request: unknown, response: IncomingMessage) => void,
  ): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  on(event: 'close', listener: () => void): unknown;
  send(data: Uint8Array): void;
  close(code?: number): void;
  /** At once, without waiting for the other end. */
  terminate(): void;
}
