import { createHmac } from 'node:crypto';

const PREFIX = 'whsec_';

/**
 * Headers of Standard Webhooks (standardwebhooks.com, symmetric scheme v1): HMAC-SHA-256 over
 * `id.timestamp.body`. `secret` is "whsec_" and the key in base64; `atMs` milliseconds since 1970.
 */
export function signedHeaders(
  secret: string,
  messageId: string,
  atMs: number,
  body: string,
): Record<string, string> {
  const key = Buffer.from(secret.slice(PREFIX.length), 'base64');
  const timestamp = String(Math.floor(atMs / 1000));
  const mac = createHmac('sha256', key).update(`${messageId}.${timestamp}.${body}`);
  return {
    'webhook-id': messageId,
    'webhook-timestamp': timestamp,
    'webhook-signature': `v1,${mac.digest('base64')}`,
  };
}
