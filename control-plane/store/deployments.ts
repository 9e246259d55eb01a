import { eq, gt } from 'drizzle-orm';
import { mergeServing, type Serving } from '../../protocol/serving.ts';
import type { Reader, Transaction } from './database.ts';
import { type Page, pageOf } from './page.ts';
import { deployments } from './schema.ts';

export type DeploymentRow = typeof deployments.$inferSelect;

export type NewDeployment = typeof deployments.$inferInsert;

/** How hosts execute it: what the operator has set, and what a tuning recommends beside that. */
export function servingOf(row: Pick<DeploymentRow, 'serving' | 'tuned'>): Serving {
  return mergeServing(row.tuned, row.serving);
}

/** Which hosts it goes to. */
export function targetOf({ selector, residency }: Pick<DeploymentRow, 'selector' | 'residency'>) {
  return { to: selector, residency };
}

export async function insertDeployment(tx: Transaction, row: NewDeployment): Promise<void> {
  await tx.insert(deployments).values(row);
}

/** Changes what is given of a deployment that exists. */
export async function updateDeployment(
  tx: Transaction,
  name: string,
  change: Partial<Omit<DeploymentRow, 'name' | 'createdAt'>> & { updatedAt: number },
): Promise<void> {
  await tx.update(deployments).set(change).where(eq(deployments.name, name));
}

export async function findDeployment(db: Reader, name: string): Promise<DeploymentRow | null> {
  const [row] = await db.select().from(deployments).where(eq(deployments.name, name));
  return row ?? null;
}

/** All of them: what the fleet's desired state is made from. */
export async function allDeployments(db: Reader): Promise<DeploymentRow[]> {
  return db.select().from(deployments).orderBy(deployments.name);
}

export async function listDeployments(
  db: Reader,
  after: string,
  limit: number,
): Promise<Page<DeploymentRow>> {
  const rows = await db
    .select()
    .from(deployments)
    .where(gt(deployments.name, after))
    .orderBy(deployments.name)
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => row.name);
}
