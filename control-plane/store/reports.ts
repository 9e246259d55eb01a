import { and, eq, sql } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { Reader, Transaction } from './database.ts';
import { agents, refusals, reports } from './schema.ts';

export type ReportRow = typeof reports.$inferSelect;
export type RefusalRow = typeof refusals.$inferSelect;

/** Replaces what is known of an agent by its full snapshot, and keeps each refusal in it. */
export async function putReport(
  tx: Transaction,
  agentId: AgentId,
  report: ReportMessage,
  now: number,
): Promise<void> {
  const { observed, applied, at } = report;
  await tx
    .update(agents)
    .set({
      lastSeenAt: now,
      observedGeneration: observed,
      appliedGeneration: applied,
      stale: report.stale === true,
      appliedAt: sql`case when ${agents.appliedGeneration} = ${applied} then ${agents.appliedAt} else ${now} end`,
    })
    .where(eq(agents.id, agentId));
  await tx.delete(reports).where(eq(reports.agentId, agentId));
  for (const { name: deployment, arms, lease = null } of report.deployments) {
    await tx.insert(reports).values({ agentId, deployment, arms, lease, at, receivedAt: now });
    for (const arm of arms) {
      // A pinned version stays wanted, so that each report repeats its refusal: kept, it would be
      // held against a rollout of that version that has only just asked anew.
      if (arm.state !== 'refused' || arm.arm === 'pinned') continue;
      const { manifest, code, detail } = arm;
      const refusal = { agentId, deployment, manifest, code, detail, at: now };
      await tx.insert(refusals).values(refusal).onConflictDoNothing();
    }
  }
}

/** What all agents last said of a deployment. */
export async function reportsOf(db: Reader, deployment: string): Promise<ReportRow[]> {
  return db.select().from(reports).where(eq(reports.deployment, deployment));
}

export async function allRefusals(db: Reader): Promise<RefusalRow[]> {
  return db.select().from(refusals);
}

/** Lets a digest be offered again: an operator asked for it anew. */
export async function forgetRefusals(
  tx: Transaction,
  deployment: string,
  manifest: string,
): Promise<void> {
  await tx
    .delete(refusals)
    .where(and(eq(refusals.deployment, deployment), eq(refusals.manifest, manifest)));
}
