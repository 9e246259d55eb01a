import { randomBytes, randomUUID } from 'node:crypto';
import type { Logger } from 'pino';
import type { ChannelRow } from '../store/channels.ts';
import type { Store } from '../store/database.ts';
import { blockList, type Resolve } from './address.ts';
import { type Channel, type ChannelRequest, shownOf, storedChannelSchema } from './channel.ts';
import { Dispatcher } from './dispatcher.ts';
import { DeliveryError } from './error.ts';
import { evidenceLink, isEvidenceLink } from './evidence-link.ts';
import { testMessage } from './message.ts';
import { loadChannelKey, seal, unseal } from './secret-box.ts';
import { send } from './send.ts';

export interface NotifyOptions {
  readonly store: Store;
  readonly dataDir: string;
  readonly log: Logger;
  readonly now: () => number;
  /** Networks that are not public and still may be told. */
  readonly allowNetworks: readonly string[];
  /** Where people reach the control plane, without a slash at the end. */
  readonly publicUrl: () => string;
  readonly resolve?: Resolve;
}

export interface Notify {
  /** A row to store, and the signing key if one was made here: to be shown once. */
  prepare(name: string, request: ChannelRequest): { row: ChannelRow; madeSecret: string | null };
  /** Sends one message now; why it failed, or null. */
  test(row: ChannelRow): Promise<string | null>;
  shows(alert: number, expires: number, signature: string): boolean;
  /** A new link to an alert's evidence. */
  link(alert: number): string;
  close(): Promise<void>;
}

/** Opens the key of the channels and begins to deliver what the queue holds. */
export async function startNotify(options: NotifyOptions): Promise<Notify> {
  const { store, log, now, publicUrl, resolve } = options;
  const key = await loadChannelKey(options.dataDir);
  const allowed = blockList(options.allowNetworks);
  const open = (name: string, sealed: Uint8Array): Channel =>
    storedChannelSchema.parse(JSON.parse(unseal(key, name, sealed)));
  const deps = { allowed, now, ...(resolve === undefined ? {} : { resolve }) };
  const link = (alert: number) => evidenceLink(key, publicUrl(), alert, now());
  const dispatcher = new Dispatcher({
    store,
    now,
    chance: Math.random,
    open,
    send: (channel, message, messageId) => send(deps, channel, message, messageId),
    link,
    onFailure: (where, error) => log.error({ err: error, where }, 'failed'),
  });
  return {
    prepare(name, request) {
      const made = request.kind === 'webhook' && request.secret === undefined;
      const channel: Channel =
        request.kind === 'webhook'
          ? { ...request, secret: request.secret ?? newSecret() }
          : request;
      const sealed = seal(key, name, JSON.stringify(channel));
      const row = {
        name,
        kind: channel.kind,
        shown: shownOf(channel),
        sealed,
        createdAt: now(),
      };
      return { row, madeSecret: made && channel.kind === 'webhook' ? channel.secret : null };
    },
    async test(row) {
      try {
        const message = testMessage(publicUrl());
        await send(deps, open(row.name, row.sealed), message, `msg_${randomUUID()}`);
        return null;
      } catch (error) {
        if (error instanceof DeliveryError) return error.message;
        throw error;
      }
    },
    shows: (alert, expires, signature) => isEvidenceLink(key, alert, expires, signature, now()),
    link,
    close: () => dispatcher.close(),
  };
}

function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}
