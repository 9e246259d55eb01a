import { and, desc, eq, isNull, lt } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import { type AlertHandling, handleAlert } from './alert-handling.ts';
import type { Reader, Transaction } from './database.ts';
import { announce } from './deliveries.ts';
import { type Page, pageOf } from './page.ts';
import { alertHandling, alerts } from './schema.ts';

export type AlertRow = typeof alerts.$inferSelect;
export type AlertKind = AlertRow['kind'];

/**
 * Opens an alert; null when one of this kind is open for this version already. A silence that holds for the one before
 * it holds for this one: it is the same trouble, come back.
 */
export async function openAlert(
  tx: Transaction,
  alert: Omit<AlertRow, 'id' | 'resolvedAt'>,
): Promise<number | null> {
  const [row] = await tx
    .insert(alerts)
    .values(alert)
    .onConflictDoNothing()
    .returning({ id: alerts.id });
  if (row === undefined) return null;
  const silence = await silenceOf(tx, row.id, alert);
  if (silence !== null) await handleAlert(tx, row.id, silence);
  await announce(tx, row.id, 'opened', alert.openedAt);
  return row.id;
}

/** The silence of the last alert of this kind of the deployment, if it is still in force. */
async function silenceOf(
  tx: Transaction,
  id: number,
  { deployment, kind, openedAt }: Pick<AlertRow, 'deployment' | 'kind' | 'openedAt'>,
): Promise<Pick<AlertHandling, 'silencedUntil' | 'silenceReason'> | null> {
  const [last] = await tx
    .select({
      silencedUntil: alertHandling.silencedUntil,
      silenceReason: alertHandling.silenceReason,
    })
    .from(alerts)
    .leftJoin(alertHandling, eq(alerts.id, alertHandling.alert))
    .where(and(eq(alerts.deployment, deployment), eq(alerts.kind, kind), lt(alerts.id, id)))
    // Not the longest silence: one that was taken back since is none.
    .orderBy(desc(alerts.id))
    .limit(1);
  const until = last?.silencedUntil ?? null;
  return last !== undefined && until !== null && until > openedAt ? last : null;
}

/** Raises the open alert of a kind: its evidence is now `detail`. Null when none is open. */
export async function escalateAlert(
  tx: Transaction,
  deployment: string,
  manifest: Digest,
  kind: AlertKind,
  detail: AlertRow['detail'],
  now: number,
): Promise<number | null> {
  const [row] = await tx
    .update(alerts)
    .set({ detail })
    .where(isOpen(deployment, manifest, kind))
    .returning({ id: alerts.id });
  if (row === undefined) return null;
  await announce(tx, row.id, 'escalated', now);
  return row.id;
}

/** Replaces an alert's evidence without telling anybody. */
export async function setDetail(
  tx: Transaction,
  id: number,
  detail: AlertRow['detail'],
): Promise<void> {
  await tx.update(alerts).set({ detail }).where(eq(alerts.id, id));
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
    .where(isOpen(deployment, manifest, kind))
    .returning({ id: alerts.id });
  if (row === undefined) return null;
  await announce(tx, row.id, 'resolved', now);
  return row.id;
}

function isOpen(deployment: string, manifest: Digest, kind: AlertKind) {
  return and(
    eq(alerts.deployment, deployment),
    eq(alerts.manifest, manifest),
    eq(alerts.kind, kind),
    isNull(alerts.resolvedAt),
  );
}

export async function findAlert(db: Reader, id: number): Promise<AlertRow | null> {
  const [row] = await db.select().from(alerts).where(eq(alerts.id, id));
  return row ?? null;
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

/** The open alerts of one kind, of all deployments. */
export async function openAlertsOfKind(db: Reader, kind: AlertKind): Promise<AlertRow[]> {
  return db
    .select()
    .from(alerts)
    .where(and(eq(alerts.kind, kind), isNull(alerts.resolvedAt)));
}

/** The versions of a deployment that have an open alert. */
export async function manifestsWithOpenAlerts(
  db: Reader,
  deployment: string,
): Promise<readonly Digest[]> {
  const rows = await db
    .selectDistinct({ manifest: alerts.manifest })
    .from(alerts)
    .where(and(eq(alerts.deployment, deployment), isNull(alerts.resolvedAt)));
  return rows.map(({ manifest }) => manifest);
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
