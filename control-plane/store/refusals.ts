import { desc, eq, sql } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { telemetryRefusals } from './telemetry-schema.ts';

export type RefusalRow = typeof telemetryRefusals.$inferSelect;
export type RefusalReason = RefusalRow['reason'];

/** One window that was acknowledged and will never be merged. */
export interface Refusal {
  readonly agentId: AgentId;
  /** '' where there is no such deployment: an agent must not fill the table with names it made up. */
  readonly deployment: string;
  readonly reason: RefusalReason;
  readonly detail: string;
}

/** Rows that are shown of one deployment; a fleet with more has one trouble many times. */
const SHOWN = 200;

/** Resolves with those that are the first of their host, deployment and reason. */
export async function countRefusals(
  tx: Transaction,
  refusals: readonly Refusal[],
  now: number,
): Promise<Refusal[]> {
  const first: Refusal[] = [];
  for (const refusal of refusals) {
    const { agentId, deployment, reason, detail } = refusal;
    const latest = { detail, lastAt: now };
    const [counted] = await tx
      .insert(telemetryRefusals)
      .values({ agentId, deployment, reason, windows: 1, ...latest })
      .onConflictDoUpdate({
        target: [telemetryRefusals.agentId, telemetryRefusals.deployment, telemetryRefusals.reason],
        set: { ...latest, windows: sql`${telemetryRefusals.windows} + 1` },
      })
      .returning({ windows: telemetryRefusals.windows });
    if (counted?.windows === 1) first.push(refusal);
  }
  return first;
}

/** What was refused of a deployment, latest first. */
export async function refusalsOf(db: Reader, deployment: string): Promise<RefusalRow[]> {
  return db
    .select()
    .from(telemetryRefusals)
    .where(eq(telemetryRefusals.deployment, deployment))
    .orderBy(desc(telemetryRefusals.lastAt))
    .limit(SHOWN);
}

/** Windows refused so far, by deployment and reason: for `/metrics`. */
export async function refusalCounts(db: Reader) {
  return db
    .select({
      deployment: telemetryRefusals.deployment,
      reason: telemetryRefusals.reason,
      windows: sql<number>`sum(${telemetryRefusals.windows})`,
    })
    .from(telemetryRefusals)
    .groupBy(telemetryRefusals.deployment, telemetryRefusals.reason);
}
