import { z } from 'zod';
import { bytesSchema } from './bytes.ts';
import { MAX_DETAIL_LENGTH } from './limits.ts';

/** Why an agent refuses a version. Closed: rollouts decide by it. */
export const refusalCodeSchema = z.enum([
  'artifact-unavailable',
  'artifact-corrupt',
  'disk-full',
  'manifest-invalid',
  'manifest-mismatch',
  'profile-invalid',
  'not-onnx',
  'session-failed',
  'golden-mismatch',
  'warmup-failed',
  'engine-crashed',
  /** No release that the pinned root stands behind covers it here. */
  'not-released',
  /** It served here, and passed a threshold of its deployment's guard. */
  'guard-tripped',
]);
export type RefusalCode = z.infer<typeof refusalCodeSchema>;

/** Why a link is refused or closed by the control plane. `retry` says whether coming back can help. */
export const linkErrorCodeSchema = z.enum([
  'bad-frame',
  'bad-message',
  'unexpected-message',
  'out-of-order',
  'unsupported-protocol',
  'bad-proof',
  'bad-join-token',
  'unknown-agent',
  'revoked',
  /** Only to agents older than protocol 3: newer ones hold their link. */
  'pending-approval',
  'replaced',
  'hello-timeout',
  /** It does not read what it is sent. */
  'too-slow',
  'shutting-down',
]);
export type LinkErrorCode = z.infer<typeof linkErrorCodeSchema>;

export const detailSchema = z
  .string()
  .transform((text) => (text.length > MAX_DETAIL_LENGTH ? text.slice(0, MAX_DETAIL_LENGTH) : text));

export const refusedMessageSchema = z.object({
  kind: z.literal('refused'),
  code: linkErrorCodeSchema,
  detail: z.string().max(MAX_DETAIL_LENGTH),
  /** Wait at least this long before the next attempt; null: do not come back with these credentials. */
  retryAfterMs: z.number().int().min(0).nullable(),
  /** As in a welcome. Without it nobody has proved that the control plane said this. */
  signature: bytesSchema(64, true).optional(),
});
export type RefusedMessage = z.infer<typeof refusedMessageSchema>;

export type ProtocolErrorKind =
  | 'frame-too-large'
  | 'not-msgpack'
  | 'schema'
  | 'signature'
  | 'trust'
  | 'onnx'
  | 'tensor'
  | 'manifest'
  | 'chunks'
  | 'profile'
  | 'pipeline'
  | 'features';

/** The one error class of `protocol/`. The message names the value, the bound and what to do. */
export class ProtocolError extends Error {
  readonly kind: ProtocolErrorKind;
  constructor(kind: ProtocolErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'ProtocolError';
    this.kind = kind;
  }
}
