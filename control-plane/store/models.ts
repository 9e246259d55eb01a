import { and, desc, eq, gt, inArray, lt, max, sql } from 'drizzle-orm';
import type { Digest } from '../../protocol/ids.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Reader, Transaction } from './database.ts';
import { type Page, pageOf } from './page.ts';
import { models, versions } from './schema.ts';

export type VersionRow = typeof versions.$inferSelect;

export interface ModelSummary {
  readonly name: string;
  readonly createdAt: number;
  readonly latest: number;
}

/** Gives `manifest` the model's next number; the row that is there when it was pushed before. */
export async function insertVersion(
  tx: Transaction,
  manifest: Digest,
  document: Manifest,
  createdBy: string,
  now: number,
): Promise<{ row: VersionRow; created: boolean }> {
  const present = await findVersionByManifest(tx, manifest);
  if (present !== null) return { row: present, created: false };
  const model = document.model;
  await tx.insert(models).values({ name: model, createdAt: now }).onConflictDoNothing();
  const [last] = await tx
    .select({ version: max(versions.version) })
    .from(versions)
    .where(eq(versions.model, model));
  const version = (last?.version ?? 0) + 1;
  const awaitsRelease = false;
  const row = { model, version, manifest, document, createdAt: now, createdBy, awaitsRelease };
  await tx.insert(versions).values(row);
  return { row, created: true };
}

export async function findVersion(
  db: Reader,
  model: string,
  version: number,
): Promise<VersionRow | null> {
  const [row] = await db
    .select()
    .from(versions)
    .where(and(eq(versions.model, model), eq(versions.version, version)));
  return row ?? null;
}

export async function allVersions(db: Reader): Promise<VersionRow[]> {
  return db.select().from(versions).orderBy(versions.model, versions.version);
}

export async function findVersionByManifest(
  db: Reader,
  manifest: Digest,
): Promise<VersionRow | null> {
  const [row] = await db.select().from(versions).where(eq(versions.manifest, manifest));
  return row ?? null;
}

/** The versions of these manifests; unknown ones are left out. */
export async function findVersionsByManifest(
  db: Reader,
  manifests: readonly Digest[],
): Promise<VersionRow[]> {
  return db
    .select()
    .from(versions)
    .where(inArray(versions.manifest, [...manifests]));
}

const summary = {
  name: models.name,
  createdAt: models.createdAt,
  latest: sql<number>`coalesce((select max(v.version) from ${versions} v where v.model = ${models.name}), 0)`,
};

export async function findModel(db: Reader, name: string): Promise<ModelSummary | null> {
  const [row] = await db.select(summary).from(models).where(eq(models.name, name));
  return row ?? null;
}

export async function listModels(
  db: Reader,
  after: string,
  limit: number,
): Promise<Page<ModelSummary>> {
  const rows = await db
    .select(summary)
    .from(models)
    .where(gt(models.name, after))
    .orderBy(models.name)
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => row.name);
}

/** Newest first; `before` is a version number, or null to begin. */
export async function listVersions(
  db: Reader,
  model: string,
  before: number | null,
  limit: number,
): Promise<Page<VersionRow>> {
  const older = before === null ? undefined : lt(versions.version, before);
  const rows = await db
    .select()
    .from(versions)
    .where(and(eq(versions.model, model), older))
    .orderBy(desc(versions.version))
    .limit(limit + 1);
  return pageOf(rows, limit, (row) => String(row.version));
}
