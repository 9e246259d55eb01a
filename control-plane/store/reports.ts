import { and, eq, sql } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { ReportMessage } from '../../protocol/report.ts';
import type { Reader, Transaction } from './database.ts';
import { agents, refusals, reports } from './schema.ts';

export type ReportRow = typeof reports.$inferSelect;
export type RefusalRow = typeof refusals.$inferSelect;

/** What an agent said of itself, and when it came. */
export interface ReceivedReport {
  readonly agent: AgentId;
  readonly report: ReportMessage;
  readonly receivedAt: number;
}

/** Rows of one statement: at most seven values each. */
const ROWS_PER_INSERT = 500;

/**
 * Replaces what is known of each agent by its full snapshot, and keeps each refusal in it. An agent occurs once. Few
 * statements for all of them: after a rollback thousands report at once.
 */
export async function putReports(
  tx: Transaction,
  received: readonly ReceivedReport[],
): Promise<void> {
  const stamps = received.map(({ agent, report, receivedAt }) => {
    const { observed, applied, stale, draining } = report;
    const said = [stale === true ? 1 : 0, draining === true ? 1 : 0];
    return [agent, receivedAt, observed, applied, ...said];
  });
  await tx.run(sql`
    update ${agents} set
      last_seen_at = max(last_seen_at, said.at),
      observed_generation = said.observed,
      applied_generation = said.applied,
      applied_at = case when applied_generation = said.applied then applied_at else said.at end,
      stale = said.stale,
      draining = said.draining
    from (
      select value ->> 0 as id, value ->> 1 as at, value ->> 2 as observed, value ->> 3 as applied, value ->> 4 as stale,
        value ->> 5 as draining
      from json_each(${JSON.stringify(stamps)})
    ) as said
    where agents.id = said.id`);
  const ids = JSON.stringify(received.map(({ agent }) => agent));
  await tx.delete(reports).where(sql`${reports.agentId} in (select value from json_each(${ids}))`);
  const rows = received.flatMap(({ agent: agentId, report, receivedAt }) =>
    report.deployments.map(
      ({ name: deployment, arms, lease = null }): ReportRow => ({
        ...{ agentId, deployment, arms, lease, at: report.at, receivedAt },
      }),
    ),
  );
  const said = rows.map(({ agentId, deployment, arms, at, receivedAt, lease }) => [
    ...[agentId, deployment, at, receivedAt, JSON.stringify(arms)],
    lease === null ? null : JSON.stringify(lease),
  ]);
  await tx.run(sql`
    insert into ${reports} (agent_id, deployment, at, received_at, arms, lease)
    select value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, value ->> 5
    from json_each(${JSON.stringify(said)})`);
  for (const some of chunks(received.flatMap(refusalsIn))) {
    await tx.insert(refusals).values(some).onConflictDoNothing();
  }
}

function refusalsIn({ agent: agentId, report, receivedAt: at }: ReceivedReport): RefusalRow[] {
  return report.deployments.flatMap(({ name: deployment, arms }) =>
    arms.flatMap((arm): RefusalRow[] => {
      // A pinned version stays wanted, so that each report repeats its refusal: kept, it would be
      // held against a rollout of that version that has only just asked anew.
      if (arm.state !== 'refused' || arm.arm === 'pinned') return [];
      const { manifest, code, detail } = arm;
      return [{ agentId, deployment, manifest, code, detail, at }];
    }),
  );
}

function chunks<T>(rows: readonly T[]): T[][] {
  const count = Math.ceil(rows.length / ROWS_PER_INSERT);
  return Array.from({ length: count }, (_, at) =>
    rows.slice(at * ROWS_PER_INSERT, (at + 1) * ROWS_PER_INSERT),
  );
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
