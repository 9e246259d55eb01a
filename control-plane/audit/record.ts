import { gt, sql } from 'drizzle-orm';
import type { Reader, Transaction } from '../store/database.ts';
import { events } from '../store/schema.ts';

/** Who acts: `token:NAME`, `agent:ID`, or `system` for what the control plane decides by itself. */
export type Actor = `token:${string}` | `agent:${string}` | 'system';

/** Everything that is recorded. Closed, so that a reader of the record knows what can be in it. */
export type Action =
  | 'token.created'
  | 'token.revoked'
  | 'artifact.stored'
  | 'version.registered'
  | 'version.release-signed'
  | 'root.published'
  | 'deployment.created'
  | 'deployment.changed'
  | 'deployment.tuned'
  | 'deployment.rolled-back'
  | 'rollout.started'
  | 'rollout.paused'
  | 'rollout.resumed'
  | 'rollout.promoted'
  | 'rollout.aborted'
  | 'rollout.failed'
  | 'rollout.held'
  | 'command.asked'
  | 'agent.joined'
  | 'agent.approved'
  | 'agent.revoked'
  | 'agent.labelled'
  | 'agent.key-rotation-asked'
  | 'agent.key-rotated'
  | 'agent.moved'
  | 'agent.drained'
  | 'agent.undrained'
  | 'agent.engines-restarted'
  | 'agent.diagnosed'
  | 'agent.log-level-set'
  | 'decision.fetched'
  | 'residency.refused'
  | 'agent.event'
  | 'agent.refused-version'
  | 'agent.guard-tripped'
  | 'join-token.created'
  | 'alert.raised'
  | 'alert.escalated'
  | 'alert.withheld'
  | 'alert.resolved'
  | 'alert.acknowledged'
  | 'alert.silenced'
  | 'alert.unsilenced'
  | 'channel.created'
  | 'channel.removed'
  | 'channel.tested';

export interface AuditEvent {
  readonly sequence: number;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly subject: string;
  readonly detail: Record<string, unknown>;
}

/**
 * Adds one event, in the transaction of the change it tells of: neither is there without the other.
 * `subject` is what it happened to, `kind:name` (`deployment:mortgage`).
 */
export async function record(
  tx: Transaction,
  at: number,
  actor: Actor,
  action: Action,
  subject: string,
  detail: Record<string, unknown> = {},
): Promise<void> {
  await tx.insert(events).values({ at, actor, action, subject, detail });
}

/** Events after `sequence`, oldest first. */
export async function eventsAfter(
  db: Reader,
  sequence: number,
  limit: number,
): Promise<AuditEvent[]> {
  return db
    .select()
    .from(events)
    .where(gt(events.sequence, sequence))
    .orderBy(events.sequence)
    .limit(limit);
}

/** The newest event's sequence, 0 when there is none. */
export async function lastSequence(db: Reader): Promise<number> {
  const [row] = await db
    .select({ last: sql<number>`coalesce(max(${events.sequence}), 0)` })
    .from(events);
  return row?.last ?? 0;
}
