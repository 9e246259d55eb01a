import { and, desc, eq, isNull, lt } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { type Page, pageOf } from './page.ts';
import { alerts } from './schema.ts';

export type AlertRow = typeof alerts.$inferSelect;
export type AlertKind = AlertRow['kind'];

/** Opens an alert; null when one of this kind is open for this version already. */
export async function openAlert(
  tx: Transaction,
  alert: Omit<AlertRow, 'id' | 'resolvedAt'>,
): Promise<number | null> {
  const [row] = await tx
    .insert(alerts)
    .values(alert)
    .onConflictDoNothing()
    .returning({ id: alerts.id });
  return row?.id ?? null;
}

/** Ends the open alert of a kind; its id, or null when none was open. */
export async function resolveAlert(
  tx: Transaction,
  deployment: string,
  manifest: Digest,
  kind: AlertKind,
  now: number,
): Promise<number | null> {
  const [row] = await tx
    .update(alerts)
    .set({ resolvedAt: now })
    .where(
      and(
        eq(alerts.deployment, deployment),
        eq(alerts.manifest, manifest),
        eq(alerts.kind, kind),
        isNull(alerts.resolvedAt),
      ),
    )
    .returning({ id: alerts.id });
  return row?.id ?? null;
}

/** The alerts that are open for one version of a deployment. */
export async function openAlerts(
  db: Reader,
  deployment: string,
  manifest: Digest,
): Promise<AlertRow[]> {
  return db
    .select()
    .from(alerts)
    .where(
      and(
        eq(alerts.deployment, deployment),
        eq(alerts.manifest, manifest),
        isNull(alerts.resolvedAt),
      ),
    );
}

/** Newest first; `before` is an alert's id, or null to begin. */
export async function listAlerts(
  db: Reader,
  filter: { deployment?: string | undefined; open?: boolean | undefined },
  before: number | null,
  limit: number,
): Promise<Page<AlertRow>> {
  const rows = await db
    .select()
    .from(alerts)
    .where(
      and(
        before === null ? undefined : lt(alerts.id, before),
        filter.deployment === undefined ? undefined : eq(alerts.deployment, filter.deployment),
        filter.open === true ? isNull(alerts.resolvedAt) : undefined,
      ),
    )
    .orderBy(desc(alerts.id))
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => String(row.id));
}
