import { and, eq, gte, inArray, lt, or, type SQL, type SQLWrapper, sql } from 'drizzle-orm';
import type { AgentId, Arm, Digest, Labels } from '../../protocol/ids.ts';
import type { Reader } from './database.ts';
import { planSegments, type ReadLevel, type Segment } from './rollup-plan.ts';
import { DAY_MS, HOUR_MS } from './rollups.ts';
import { agents } from './schema.ts';
import { rollupDue, rollups, windows } from './telemetry-schema.ts';

/** Which hosts' windows are asked for; empty fields ask for all. */
export interface HostFilter {
  /** Ids or names. */
  readonly agents: readonly string[];
  /** Labels that a host must all carry. */
  readonly labels: Labels;
}

export interface WindowQuery {
  readonly deployment: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly manifest: Digest;
  /** Null: all arms. */
  readonly arm: Arm | null;
  readonly hosts: HostFilter;
}

type Scope = Omit<WindowQuery, 'manifest'> & { readonly manifest: Digest | null };

export interface StoredWindow {
  readonly windowStartMs: number;
  readonly agentId: AgentId;
  readonly arm: Arm;
  readonly body: Uint8Array;
}

interface PageRow extends StoredWindow {
  readonly level: number;
}

/** Rows in memory at a time: a window of 100 features has 25 KB. */
const PAGE_ROWS = 500;

/**
 * Everything that was merged in a span, in ascending order of time, a page at a time: windows, and where points are
 * `stepMs` apart and whole hours or days are asked for, what they add up to. A roll-up begins where its hour or day does.
 *
 * @param stepMs how far apart the points are that it is added up to; 0 for windows as they came
 */
export async function* windowPages(
  db: Reader,
  query: WindowQuery,
  stepMs = 0,
): AsyncGenerator<readonly StoredWindow[]> {
  const sources = await sourcesOf(db, query, stepMs);
  let after: PageRow | null = null;
  for (;;) {
    const selects = sources.map((source) => pageSelect(db, query, source, after));
    const rows = await db.all<PageRow & { readonly body: ArrayBuffer }>(
      sql`${unionOf(selects)} order by 1, 2, 3, 4 limit ${PAGE_ROWS}`,
    );
    const page: PageRow[] = rows.map((row) => ({ ...row, body: new Uint8Array(row.body) }));
    if (page.length > 0) yield page;
    if (page.length < PAGE_ROWS) return;
    after = page[page.length - 1];
  }
}

/** How many rows `windowPages` would give: asked first, so that nobody waits for what is refused. */
export async function countWindows(db: Reader, query: WindowQuery, stepMs = 0): Promise<number> {
  const sources = await sourcesOf(db, query, stepMs);
  let count = 0;
  for (const source of sources) {
    const { table } = columnsOf(source.level);
    const [row] = await db
      .select({ count: sql<number>`count(*)` })
      .from(table)
      .where(within(db, query, source));
    count += row?.count ?? 0;
  }
  return count;
}

/** Counts per point, version and arm without reading a sketch. */
export async function pointCounts(
  db: Reader,
  scope: Omit<WindowQuery, 'manifest'>,
  stepMs: number,
): Promise<PointCounts[]> {
  const query = { ...scope, manifest: null };
  const sources = await sourcesOf(db, query, stepMs);
  const selects = sources.map((source) => countSelect(db, query, source, stepMs));
  return db.all<PointCounts>(
    sql`select "windowStartMs", "arm", "manifest", count(distinct "agentId") as "agents", sum("parts") as "parts", sum("requests") as "requests", sum("rows") as "rows", sum("errors") as "errors" from (${unionOf(selects)}) group by "windowStartMs", "manifest", "arm" order by "windowStartMs"`,
  );
}

interface PointCounts {
  readonly windowStartMs: number;
  readonly arm: Arm;
  readonly manifest: Digest;
  readonly agents: number;
  readonly parts: number;
  readonly requests: number;
  readonly rows: number;
  readonly errors: number;
}

/** One table's part of a stretch of time. */
interface Source extends Segment {
  /** Only rows whose windows are gone: the others are read at a finer level. */
  readonly onlySealed: boolean;
}

const COARSER: Record<ReadLevel, readonly ReadLevel[]> = {
  window: ['hour', 'day'],
  hour: ['day'],
  day: [],
};

async function sourcesOf(db: Reader, query: Scope, stepMs: number): Promise<readonly Source[]> {
  const due = await dueIn(db, query);
  return planSegments(query.fromMs, query.toMs, stepMs, due).flatMap((segment) => [
    { ...segment, onlySealed: false },
    ...COARSER[segment.level].map((level) => ({ ...segment, level, onlySealed: true })),
  ]);
}

async function dueIn(db: Reader, { deployment, manifest, fromMs, toMs }: Scope) {
  const rows = await db
    .selectDistinct({ levelMs: rollupDue.levelMs, startMs: rollupDue.startMs })
    .from(rollupDue)
    .where(
      and(
        eq(rollupDue.deployment, deployment),
        manifest === null ? undefined : eq(rollupDue.manifest, manifest),
        gte(rollupDue.startMs, fromMs - DAY_MS),
        lt(rollupDue.startMs, toMs),
      ),
    );
  const at = (level: number) =>
    new Set(rows.filter(({ levelMs }) => levelMs === level).map(({ startMs }) => startMs));
  return { hours: at(HOUR_MS), days: at(DAY_MS) };
}

function columnsOf(level: ReadLevel) {
  return level === 'window'
    ? { table: windows, start: windows.windowStartMs }
    : { table: rollups, start: rollups.startMs };
}

const LEVEL_MS: Record<ReadLevel, number> = { window: 0, hour: HOUR_MS, day: DAY_MS };

/** Drizzle's own unions want a fixed number of selects. */
function unionOf(selects: readonly SQLWrapper[]): SQL {
  return sql.join(
    selects.map((select) => select.getSQL()),
    sql` union all `,
  );
}

function pageSelect(db: Reader, query: Scope, source: Source, after: PageRow | null) {
  const { table, start } = columnsOf(source.level);
  const level = sql.raw(String(LEVEL_MS[source.level]));
  const behind =
    after === null
      ? undefined
      : sql`(${start}, ${table.agentId}, ${table.arm}, ${level}) > (${after.windowStartMs}, ${after.agentId}, ${after.arm}, ${after.level})`;
  return db
    .select({
      windowStartMs: sql`${start}`.as('windowStartMs'),
      agentId: sql`${table.agentId}`.as('agentId'),
      arm: sql`${table.arm}`.as('arm'),
      level: sql`${level}`.as('level'),
      body: sql`${table.body}`.as('body'),
    })
    .from(table)
    .where(and(within(db, query, source), behind));
}

function countSelect(db: Reader, query: Scope, source: Source, stepMs: number) {
  const { table, start } = columnsOf(source.level);
  return db
    .select({
      windowStartMs: sql`${start} - ${start} % ${stepMs}`.as('windowStartMs'),
      arm: sql`${table.arm}`.as('arm'),
      manifest: sql`${table.manifest}`.as('manifest'),
      agentId: sql`${table.agentId}`.as('agentId'),
      parts: sql`${table.parts}`.as('parts'),
      requests: sql`${table.requests}`.as('requests'),
      rows: sql`${table.rows}`.as('rows'),
      errors: sql`${table.errors}`.as('errors'),
    })
    .from(table)
    .where(within(db, query, source));
}

function within(db: Reader, query: Scope, source: Source): SQL | undefined {
  const { table, start } = columnsOf(source.level);
  return and(
    eq(table.deployment, query.deployment),
    query.manifest === null ? undefined : eq(table.manifest, query.manifest),
    source.level === 'window' ? undefined : eq(rollups.levelMs, LEVEL_MS[source.level]),
    gte(start, source.fromMs),
    lt(start, source.toMs),
    query.arm === null ? undefined : eq(table.arm, query.arm),
    source.onlySealed ? eq(rollups.sealed, true) : undefined,
    ofHosts(db, table.agentId, query.hosts),
  );
}

/** Undefined when the filter lets every host pass. */
function ofHosts(
  db: Reader,
  column: typeof windows.agentId | typeof rollups.agentId,
  { agents: names, labels }: HostFilter,
): SQL | undefined {
  const wanted = [
    ...(names.length === 0
      ? []
      : [or(inArray(agents.id, [...names]), inArray(agents.name, [...names]))]),
    // A label's key is a name, without quotes or backslashes: it can't break out of the path.
    ...Object.entries(labels).map(
      ([key, value]) => sql`json_extract(${agents.labels}, ${`$."${key}"`}) = ${value}`,
    ),
  ];
  if (wanted.length === 0) return undefined;
  return inArray(
    column,
    db
      .select({ id: agents.id })
      .from(agents)
      .where(and(...wanted)),
  );
}
