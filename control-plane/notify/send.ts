import type { BlockList } from 'node:net';
import type { Resolve } from './address.ts';
import type { Channel } from './channel.ts';
import { sendEmail } from './email.ts';
import { type Message, slackBody, webhookBody } from './message.ts';
import { post } from './post.ts';
import { signedHeaders } from './signature.ts';

export interface SendDeps {
  readonly allowed: BlockList;
  readonly now: () => number;
  readonly resolve?: Resolve;
}

/** One attempt. Rejects with `DeliveryError`. */
export async function send(
  deps: SendDeps,
  channel: Channel,
  message: Message,
  messageId: string,
): Promise<void> {
  const { allowed, resolve } = deps;
  if (channel.kind === 'email') {
    await sendEmail(channel, message, messageId, allowed, resolve);
  } else if (channel.kind === 'slack') {
    await post(new URL(channel.url), {}, slackBody(message), allowed, resolve);
  } else {
    const at = deps.now();
    const body = webhookBody(message, messageId, at);
    const headers = signedHeaders(channel.secret, messageId, at, body);
    await post(new URL(channel.url), headers, body, allowed, resolve);
  }
}
