import { WebSocket } from 'ws';
import { MAX_FRAME_BYTES } from '../../protocol/limits.ts';

const HANDSHAKE_TIMEOUT_MS = 10_000;

/** @param ca PEM of the only authority that may vouch for a control plane behind TLS; null: those that Node trusts */
export function openSocket(url: URL, ca: string | null): WebSocket {
  return new WebSocket(url, {
    perMessageDeflate: false,
    maxPayload: MAX_FRAME_BYTES,
    handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
    ...(ca === null ? {} : { ca }),
  });
}
