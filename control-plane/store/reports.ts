import { and, eq, gt, isNotNull, isNull, sql } from 'drizzle-orm';
import type { AgentId } from '../../protocol/ids.ts';
import type { ReportedLease } from '../../protocol/lease.ts';
import type { ReportedArm, ReportMessage } from '../../protocol/report.ts';
import type { AgentRow } from './agents.ts';
import type { Reader, Transaction } from './database.ts';
import { type Page, pageOf } from './page.ts';
import { agents, desired, refusals, reports } from './schema.ts';

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

/** An agent in service, the generation asked of it, and what it last said of one deployment; null arms: nothing. */
export interface HostReport {
  readonly host: Pick<
    AgentRow,
    | 'id'
    | 'name'
    | 'serving'
    | 'labels'
    | 'jurisdiction'
    | 'observedGeneration'
    | 'appliedGeneration'
  >;
  readonly desired: number;
  readonly arms: ReportRow['arms'] | null;
  readonly lease: ReportRow['lease'];
}

/** A page of the agents in service, in the order of their ids, whether or not the deployment goes to them. */
export async function hostsWithReports(
  db: Reader,
  deployment: string,
  after: string,
  limit: number,
): Promise<Page<HostReport>> {
  const { id, name, serving, labels, jurisdiction } = agents;
  const { observedGeneration, appliedGeneration } = agents;
  const host = { id, name, serving, labels, jurisdiction, observedGeneration, appliedGeneration };
  const rows = await db
    .select({
      host,
      desired: sql<number>`coalesce(${desired.generation}, 0)`,
      arms: reports.arms,
      lease: reports.lease,
    })
    .from(agents)
    .leftJoin(reports, and(eq(reports.agentId, id), eq(reports.deployment, deployment)))
    .leftJoin(desired, eq(desired.agentId, id))
    .where(and(gt(id, after), isNotNull(agents.approvedAt), isNull(agents.revokedAt)))
    .orderBy(id)
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => row.host.id);
}

type SaidTuple = [AgentId, string, ReportedArm[], ReportedLease | null];

/** What each agent last said of its deployments. They come as one JSON text, as `hostsInService` says. */
export async function latestReports(
  db: Reader,
): Promise<Map<AgentId, ReportMessage['deployments']>> {
  const { rows } = await db.run(sql`
    select json_group_array(json_array(agent_id, deployment, json(arms), json(lease))) as said
    from ${reports}`);
  const latest = new Map<AgentId, ReportMessage['deployments']>();
  for (const [agent, name, arms, lease] of JSON.parse(String(rows[0]?.said)) as SaidTuple[]) {
    const said = { name, arms, ...(lease === null ? {} : { lease }) };
    latest.set(agent, [...(latest.get(agent) ?? []), said]);
  }
  return latest;
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
