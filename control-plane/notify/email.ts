import type { BlockList } from 'node:net';
import { createTransport } from 'nodemailer';
import { pin, type Resolve } from './address.ts';
import type { EmailConfig } from './channel.ts';
import { DeliveryError } from './error.ts';
import type { Message } from './message.ts';
import { ATTEMPT_MS } from './post.ts';

/**
 * Sends one message by SMTP. nodemailer (no dependencies) owns the dialogue: STARTTLS, AUTH, dot
 * stuffing, header folding and injection are where hand-written mailers go wrong.
 */
export async function sendEmail(
  config: EmailConfig,
  message: Message,
  messageId: string,
  allowed: BlockList,
  resolve?: Resolve,
): Promise<void> {
  const { address, trusted } = await pin(config.host, allowed, resolve);
  const transport = createTransport({
    host: address,
    port: config.port,
    secure: config.port === 465,
    // Passwords and evidence travel in the clear only where the operator has named the network.
    requireTLS: !trusted,
    tls: { servername: config.host },
    auth: config.user === undefined ? undefined : { user: config.user, pass: config.password },
    connectionTimeout: ATTEMPT_MS,
    greetingTimeout: ATTEMPT_MS,
    socketTimeout: ATTEMPT_MS,
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from: config.from,
      to: config.to,
      subject: message.title,
      text: `${message.title}\n\n${message.summary}\n\n${message.link}\n`,
      // The same in every attempt, so that mailboxes fold a repeated one away.
      messageId: `<${messageId}@driftline>`,
      headers: { 'auto-submitted': 'auto-generated' },
    });
  } catch (cause) {
    const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'failed';
    const status =
      cause instanceof Error && 'responseCode' in cause ? ` (${cause.responseCode})` : '';
    throw new DeliveryError('unreachable', `${config.host}: ${code}${status}`, { cause });
  } finally {
    transport.close();
  }
}
