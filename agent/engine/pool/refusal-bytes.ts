/** A client told to come back finds a replaced engine: one is up in about this long. */
const RETRY_AFTER_SECONDS = 1;

const MESSAGE = {
  engine_died: 'the engine that computed this request died; another has taken its place',
  not_ready: 'no engine is up; one is being started',
  overloaded: 'every engine has more connections than it takes up',
} as const;

/** A whole HTTP/1.1 answer, written on a connection whose engine cannot. */
export function refusalBytes(code: keyof typeof MESSAGE): string {
  const body = JSON.stringify({ error: MESSAGE[code], code });
  return [
    'HTTP/1.1 503 Service Unavailable',
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Retry-After: ${RETRY_AFTER_SECONDS}`,
    'Connection: close',
    '',
    body,
  ].join('\r\n');
}
