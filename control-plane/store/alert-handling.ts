import { eq } from 'drizzle-orm';
import type { Reader, Transaction } from './database.ts';
import { alertHandling } from './schema.ts';

export type AlertHandling = Omit<typeof alertHandling.$inferSelect, 'alert'>;

const NOTHING: AlertHandling = {
  acknowledgedAt: null,
  acknowledgedBy: null,
  silencedUntil: null,
  silenceReason: null,
};

export async function handlingOf(db: Reader, alert: number): Promise<AlertHandling> {
  const [row] = await db.select().from(alertHandling).where(eq(alertHandling.alert, alert));
  if (row === undefined) return NOTHING;
  const { alert: _, ...handling } = row;
  return handling;
}

export async function handleAlert(
  tx: Transaction,
  alert: number,
  change: Partial<AlertHandling>,
): Promise<void> {
  await tx
    .insert(alertHandling)
    .values({ alert, ...change })
    .onConflictDoUpdate({ target: alertHandling.alert, set: change });
}
