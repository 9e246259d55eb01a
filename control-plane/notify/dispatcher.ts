import { setTimeout as wait } from 'node:timers/promises';
import { findAlert } from '../store/alerts.ts';
import { findChannel } from '../store/channels.ts';
import type { Store } from '../store/database.ts';
import {
  type DeliveryRow,
  dueDelivery,
  forgetDeliveries,
  nextDue,
  settleDelivery,
} from '../store/deliveries.ts';
import { backoffMs, MAX_ATTEMPTS } from './backoff.ts';
import type { Channel } from './channel.ts';
import { DeliveryError } from './error.ts';
import { type Message, messageOf } from './message.ts';

const MINUTE_MS = 60_000;
/** Attempts at one channel a minute: an alert storm shall not get the sender banned. */
export const ATTEMPTS_PER_MINUTE = 30;
const KEEP_MS = 90 * 86_400_000;
/** A look at the queue at least this often, whatever was miscounted. */
const IDLE_MS = 60_000;
/** Between two looks for one commit each: a busy fleet commits many times a second, and most of it is no alert. */
const LOOK_EVERY_MS = 100;
/** Against a loop that spins when a clock steps back. */
const LEAST_WAIT_MS = 20;

export interface DispatcherDeps {
  readonly store: Store;
  readonly now: () => number;
  readonly chance: () => number;
  readonly open: (name: string, sealed: Uint8Array) => Channel;
  readonly send: (channel: Channel, message: Message, messageId: string) => Promise<void>;
  readonly link: (alert: number) => string;
  readonly onFailure: (where: string, error: unknown) => void;
}

/**
 * Takes the queue to its channels: one message at a time for each channel, channels beside each other.
 * A row stays pending until its outcome is written, so a crash repeats a message and never loses one.
 */
export class Dispatcher {
  readonly #deps: DispatcherDeps;
  readonly #stopping = new AbortController();
  /** Times of the latest minute's attempts. A restart forgets them. */
  readonly #attempts = new Map<string, number[]>();
  /** Attempts that have ended. */
  #freed = 0;
  readonly #done: Promise<void>;

  constructor(deps: DispatcherDeps) {
    this.#deps = deps;
    this.#done = this.#run();
  }

  /** Ends after the attempts under way, each bounded in time. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    const { store, now, onFailure } = this.#deps;
    const busy = new Map<string, Promise<void>>();
    while (!signal.aborted) {
      const commits = store.commits;
      const freed = this.#freed;
      let waitMs = IDLE_MS;
      try {
        const resumeAt = await this.#start(busy);
        const next = (await nextDue(store.read, now())) ?? Number.POSITIVE_INFINITY;
        // What is due already waits for its channel, whose end is a commit.
        const soonest = Math.min(next > now() ? next : Number.POSITIVE_INFINITY, resumeAt);
        waitMs = Math.min(IDLE_MS, Math.max(LEAST_WAIT_MS, soonest - now()));
      } catch (error) {
        onFailure('alert delivery', error);
        waitMs = MINUTE_MS;
      }
      // A channel that became free while the queue was looked at was passed over.
      if (this.#freed !== freed) continue;
      // An attempt's last commit comes before its channel is free: wait for either.
      const woken = new AbortController();
      const commit = store.nextCommit(commits, waitMs, AbortSignal.any([signal, woken.signal]));
      await Promise.race([commit, ...busy.values()]);
      woken.abort();
      if (store.commits > commits) await pause(LOOK_EVERY_MS, signal);
    }
    await Promise.all(busy.values());
  }

  /** Starts what may start; when a channel at its bound may go on. */
  async #start(busy: Map<string, Promise<void>>): Promise<number> {
    const { store, now, onFailure } = this.#deps;
    let resumeAt = Number.POSITIVE_INFINITY;
    const except = [...busy.keys()];
    for (;;) {
      const row = await dueDelivery(store.read, now(), except);
      if (row === null || this.#stopping.signal.aborted) break;
      except.push(row.channel);
      const freeAt = this.#freeAt(row.channel);
      if (freeAt > now()) {
        resumeAt = Math.min(resumeAt, freeAt);
        continue;
      }
      const attempt = this.#attempt(row)
        .catch((error: unknown) => onFailure('alert delivery', error))
        .finally(() => {
          busy.delete(row.channel);
          this.#freed += 1;
        });
      busy.set(row.channel, attempt);
    }
    return resumeAt;
  }

  #freeAt(channel: string): number {
    const since = this.#deps.now() - MINUTE_MS;
    const recent = (this.#attempts.get(channel) ?? []).filter((at) => at > since);
    this.#attempts.set(channel, recent);
    const oldest = recent[recent.length - ATTEMPTS_PER_MINUTE];
    return oldest === undefined ? 0 : oldest + MINUTE_MS;
  }

  async #attempt(row: DeliveryRow): Promise<void> {
    const { store, now, chance } = this.#deps;
    this.#attempts.get(row.channel)?.push(now());
    const error = await this.#try(row);
    const attempts = row.attempts + 1;
    const over = error === null || error.kind === 'gone' || attempts >= MAX_ATTEMPTS;
    const state = error === null ? 'delivered' : over ? 'failed' : 'pending';
    const at = now();
    await store.write(async (tx) => {
      await settleDelivery(tx, row.id, {
        state,
        attempts,
        nextAttemptAt: over ? at : at + backoffMs(attempts, chance(), error.retryAfterMs),
        failure: error?.message ?? null,
        finishedAt: over ? at : null,
      });
      await forgetDeliveries(tx, at - KEEP_MS);
    });
  }

  async #try(row: DeliveryRow): Promise<DeliveryError | null> {
    const { store, open, send, link, onFailure } = this.#deps;
    try {
      const channel = await findChannel(store.read, row.channel);
      const alert = await findAlert(store.read, row.alert);
      if (channel === null || alert === null) {
        return new DeliveryError('gone', 'the channel or the alert is no longer there');
      }
      const message = messageOf(alert, row.transition, link(row.alert));
      await send(open(channel.name, channel.sealed), message, row.messageId);
      return null;
    } catch (error) {
      if (error instanceof DeliveryError) return error;
      onFailure('alert delivery', error);
      return new DeliveryError('refused', 'the channel cannot be used; the log says why');
    }
  }
}

/** Resolves after `ms`, or when it is aborted. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return wait(ms, undefined, { signal, ref: false }).catch(() => undefined);
}
