import { z } from 'zod';
import { nameSchema } from '../../protocol/ids.ts';

const MAX_RECIPIENTS = 20;
/** Key of 24 to 64 bytes, as Standard Webhooks asks. */
const secretSchema = z
  .string()
  .regex(/^whsec_[A-Za-z0-9+/]{32,86}={0,2}$/, 'a secret is "whsec_" and 24 to 64 bytes in base64');

const urlSchema = z
  .url({ protocol: /^https?$/, error: 'a channel needs an http(s) address' })
  .max(2048)
  .refine((url) => {
    const { username, password } = new URL(url);
    return username === '' && password === '';
  }, 'an address holds no user and password: receivers check the signature');

export const emailSchema = z.strictObject({
  kind: z.literal('email'),
  host: z.hostname().or(z.ipv4()).or(z.ipv6()),
  port: z.int().min(1).max(65_535).default(587),
  user: z.string().min(1).max(320).optional(),
  password: z.string().min(1).max(1024).optional(),
  from: z.email(),
  to: z.array(z.email()).min(1).max(MAX_RECIPIENTS),
});
export type EmailConfig = z.infer<typeof emailSchema>;

/** What a channel is made of; `secret` of a webhook is made where none is given. */
export const channelSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('webhook'), url: urlSchema, secret: secretSchema.optional() }),
  z.strictObject({ kind: z.literal('slack'), url: urlSchema }),
  emailSchema,
]);
export type ChannelRequest = z.infer<typeof channelSchema>;
export type Channel =
  | Exclude<ChannelRequest, { kind: 'webhook' }>
  | { readonly kind: 'webhook'; readonly url: string; readonly secret: string };

/** A sealed channel, read back. */
export const storedChannelSchema = z.union([
  z.strictObject({ kind: z.literal('webhook'), url: urlSchema, secret: secretSchema }),
  z.strictObject({ kind: z.literal('slack'), url: urlSchema }),
  emailSchema,
]);

export const channelNameSchema = nameSchema;

/** What may be shown: of an address its origin, since paths carry secrets (Slack's are nothing else). */
export function shownOf(channel: Channel): Record<string, unknown> {
  if (channel.kind !== 'email') return { origin: new URL(channel.url).origin };
  const { host, port, user = null, from, to } = channel;
  return { host, port, user, from, to };
}
