import { randomUUID } from 'node:crypto';
import {
  and,
  asc,
  desc,
  eq,
  gt,
  isNotNull,
  lt,
  lte,
  notExists,
  notInArray,
  sql,
} from 'drizzle-orm';
import { alias } from 'drizzle-orm/sqlite-core';
import type { Reader, Transaction } from './database.ts';
import { type Page, pageOf } from './page.ts';
import { alertHandling, channels, deliveries } from './schema.ts';

export type DeliveryRow = typeof deliveries.$inferSelect;
export type Transition = DeliveryRow['transition'];

/**
 * Queues one message per channel, in the transaction of the transition itself: a crash leaves both or
 * neither. The end of a silenced alert is not told, and neither is what waited for its silence to end.
 */
export async function announce(
  tx: Transaction,
  alert: number,
  transition: Transition,
  now: number,
): Promise<void> {
  const [handling] = await tx.select().from(alertHandling).where(eq(alertHandling.alert, alert));
  const mute = transition === 'resolved' && (handling?.silencedUntil ?? 0) > now;
  const state = mute ? ('withheld' as const) : ('pending' as const);
  if (mute) {
    await tx
      .update(deliveries)
      .set({ state, finishedAt: now })
      .where(and(eq(deliveries.alert, alert), eq(deliveries.state, 'pending')));
  }
  for (const { name } of await tx.select({ name: channels.name }).from(channels)) {
    await tx.insert(deliveries).values({
      messageId: `msg_${randomUUID()}`,
      channel: name,
      alert,
      transition,
      state,
      attempts: 0,
      nextAttemptAt: now,
      createdAt: now,
      finishedAt: mute ? now : null,
    });
  }
}

/**
 * The oldest that may be sent now to a channel not in `except`: not silenced, and nothing earlier of the
 * same alert waits for the same channel. One at a time, so that a busy channel never hides another.
 */
export async function dueDelivery(
  db: Reader,
  now: number,
  except: readonly string[],
): Promise<DeliveryRow | null> {
  const elsewhere = notInArray(deliveries.channel, [...except]);
  const [row] = await db
    .select()
    .from(deliveries)
    .where(and(unblocked(db, now), lte(deliveries.nextAttemptAt, now), elsewhere))
    .orderBy(asc(deliveries.id))
    .limit(1);
  return row ?? null;
}

/** When something pending may become due, or a silence ends; null when nothing waits. */
export async function nextDue(db: Reader, now: number): Promise<number | null> {
  const [due] = await db
    .select({ at: sql<number | null>`min(${deliveries.nextAttemptAt})` })
    .from(deliveries)
    .where(unblocked(db, now));
  const [silence] = await db
    .select({ at: sql<number | null>`min(${alertHandling.silencedUntil})` })
    .from(alertHandling)
    .where(gt(alertHandling.silencedUntil, now));
  const times = [due?.at, silence?.at].filter((at) => typeof at === 'number');
  return times.length === 0 ? null : Math.min(...times);
}

function unblocked(db: Reader, now: number) {
  const earlier = alias(deliveries, 'earlier');
  const before = db
    .select({ one: sql`1` })
    .from(earlier)
    .where(
      and(
        eq(earlier.alert, deliveries.alert),
        eq(earlier.channel, deliveries.channel),
        eq(earlier.state, 'pending'),
        lt(earlier.id, deliveries.id),
      ),
    );
  const silenced = db
    .select({ one: sql`1` })
    .from(alertHandling)
    .where(and(eq(alertHandling.alert, deliveries.alert), gt(alertHandling.silencedUntil, now)));
  return and(eq(deliveries.state, 'pending'), notExists(before), notExists(silenced));
}

/** Writes an attempt's outcome, unless the row was withheld meanwhile. */
export async function settleDelivery(
  tx: Transaction,
  id: number,
  change: Pick<DeliveryRow, 'state' | 'attempts' | 'nextAttemptAt' | 'failure' | 'finishedAt'>,
): Promise<void> {
  await tx
    .update(deliveries)
    .set(change)
    .where(and(eq(deliveries.id, id), eq(deliveries.state, 'pending')));
}

export async function withholdChannel(tx: Transaction, channel: string, now: number) {
  await tx
    .update(deliveries)
    .set({ state: 'withheld', failure: 'the channel was removed', finishedAt: now })
    .where(and(eq(deliveries.channel, channel), eq(deliveries.state, 'pending')));
}

/** Rows that ended before `before` are history nobody asks for. */
export async function forgetDeliveries(tx: Transaction, before: number): Promise<void> {
  await tx
    .delete(deliveries)
    .where(and(isNotNull(deliveries.finishedAt), lt(deliveries.finishedAt, before)));
}

/** Newest first. */
export async function listDeliveries(
  db: Reader,
  filter: {
    channel?: string | undefined;
    state?: DeliveryRow['state'] | undefined;
    alert?: number | undefined;
  },
  before: number | null,
  limit: number,
): Promise<Page<DeliveryRow>> {
  const rows = await db
    .select()
    .from(deliveries)
    .where(
      and(
        before === null ? undefined : lt(deliveries.id, before),
        filter.channel === undefined ? undefined : eq(deliveries.channel, filter.channel),
        filter.state === undefined ? undefined : eq(deliveries.state, filter.state),
        filter.alert === undefined ? undefined : eq(deliveries.alert, filter.alert),
      ),
    )
    .orderBy(desc(deliveries.id))
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => String(row.id));
}
