import { eq, inArray, sql } from 'drizzle-orm';
import type { AgentId, Labels } from '../../protocol/ids.ts';
import type { Reader, Transaction } from './database.ts';
import { agents, desired, desiredContents } from './schema.ts';

export type DesiredRow = typeof desired.$inferSelect;

/** What hosts shall run, and its name. */
export type DesiredContent = typeof desiredContents.$inferSelect;

/** One host's document as it is put in force with others. */
export interface NewDesired {
  readonly agentId: AgentId;
  readonly generation: number;
  readonly contentHash: string;
}

/** What the documents of one change have in common. */
export type DesiredTimes = Pick<DesiredRow, 'keyId' | 'issuedAt' | 'expiresAt' | 'createdAt'>;

/**
 * Puts documents in force for their agents: one statement for all of them, because making a statement for each takes longer
 * than carrying it out.
 */
export async function putDesired(
  tx: Transaction,
  rows: readonly NewDesired[],
  contents: readonly DesiredContent[],
  { keyId, issuedAt, expiresAt, createdAt }: DesiredTimes,
): Promise<void> {
  if (rows.length === 0) return;
  await tx
    .insert(desiredContents)
    .values([...contents])
    .onConflictDoNothing();
  const said = rows.map(({ agentId, generation, contentHash }) => [
    agentId,
    generation,
    contentHash,
  ]);
  await tx.run(sql`
    insert into ${desired}
      (agent_id, generation, content_hash, key_id, issued_at, expires_at, created_at)
    select value ->> 0, value ->> 1, value ->> 2, ${keyId}, ${issuedAt}, ${expiresAt}, ${createdAt}
    from json_each(${JSON.stringify(said)}) where true
    on conflict (agent_id) do update set
      generation = excluded.generation, content_hash = excluded.content_hash, key_id = excluded.key_id,
      issued_at = excluded.issued_at, expires_at = excluded.expires_at, created_at = excluded.created_at`);
}

/** Forgets what no document says any more. */
export async function forgetContents(tx: Transaction): Promise<void> {
  const said = tx.select({ hash: desired.contentHash }).from(desired);
  await tx.delete(desiredContents).where(sql`${desiredContents.hash} not in ${said}`);
}

/** A document in force, with the JSON of its deployments. */
export type StoredDesired = DesiredRow & Pick<DesiredContent, 'deployments'>;

export async function findDesired(db: Reader, agentId: AgentId): Promise<StoredDesired | null> {
  const [found] = await db
    .select()
    .from(desired)
    .innerJoin(desiredContents, eq(desiredContents.hash, desired.contentHash))
    .where(eq(desired.agentId, agentId));
  if (found === undefined) return null;
  return { ...found.desired, deployments: found.desired_contents.deployments };
}

/** A document in force, and what the host that it is for speaks. */
export type DesiredOfHost = Pick<
  StoredDesired,
  'agentId' | 'generation' | 'issuedAt' | 'expiresAt' | 'contentHash'
> & { readonly protocol: number };

type DocumentTuple = [AgentId, number, number, number, string, number];

/** The documents in force for those of the hosts that have one, as one text each (see `hostsInService`), and their contents. */
export async function findDesiredOf(
  db: Reader,
  ids: readonly AgentId[],
): Promise<{ documents: DesiredOfHost[]; contents: DesiredContent[] }> {
  const { rows } = await db.run(sql`
    select json_group_array(json_array(d.agent_id, d.generation, d.issued_at, d.expires_at, d.content_hash, a.protocol)) as documents
    from ${desired} as d join ${agents} as a on a.id = d.agent_id
    where d.agent_id in (select value from json_each(${JSON.stringify(ids)}))`);
  const told = JSON.parse(String(rows[0]?.documents)) as DocumentTuple[];
  const documents = told.map(
    ([agentId, generation, issuedAt, expiresAt, contentHash, protocol]): DesiredOfHost => ({
      ...{ agentId, generation, issuedAt, expiresAt, contentHash, protocol },
    }),
  );
  const hashes = [...new Set(documents.map(({ contentHash }) => contentHash))];
  const contents = await db
    .select()
    .from(desiredContents)
    .where(inArray(desiredContents.hash, hashes));
  return { documents, contents };
}

export async function allDesired(db: Reader): Promise<DesiredRow[]> {
  return db.select().from(desired);
}

/** A host in service: what decides of its document, and what says whether the one it has still holds. */
export interface HostInService {
  readonly id: AgentId;
  readonly labels: Labels;
  /** Of the labels as they are stored: hosts with the same have the same. */
  readonly labelsText: string;
  readonly jurisdiction: string | null;
  readonly joinedAt: number;
  readonly protocol: number;
  /** Null: it has no document yet. */
  readonly document: Pick<DesiredRow, 'generation' | 'contentHash' | 'keyId' | 'issuedAt'> | null;
}

type HostTuple = [AgentId, string, string | null, number, number, ...StampTuple];
type StampTuple = [number, string, string, number] | [null, null, null, null];

/**
 * Hosts in service, or those of them that are asked for. They come as one JSON text: read row by row through driver and query
 * builder, a fleet takes fifteen times as long.
 */
export async function hostsInService(
  db: Reader,
  only: readonly AgentId[] | null,
): Promise<HostInService[]> {
  const ids = only === null ? null : JSON.stringify(only);
  const asked = ids === null ? sql`` : sql`and a.id in (select value from json_each(${ids}))`;
  const { rows } = await db.run(sql`
    select json_group_array(json_array(a.id, a.labels, a.jurisdiction, a.joined_at, a.protocol,
      d.generation, d.content_hash, d.key_id, d.issued_at)) as hosts
    from ${agents} as a left join ${desired} as d on d.agent_id = a.id
    where a.approved_at is not null and a.revoked_at is null ${asked}`);
  const hosts = JSON.parse(String(rows[0]?.hosts)) as HostTuple[];
  const parsed = new Map<string, Labels>();
  return hosts.map(([id, labelsText, jurisdiction, joinedAt, protocol, ...stamp]) => {
    const labels = parsed.get(labelsText) ?? (JSON.parse(labelsText) as Labels);
    parsed.set(labelsText, labels);
    const document = stampOf(stamp);
    return { id, labels, labelsText, jurisdiction, joinedAt, protocol, document };
  });
}

function stampOf([
  generation,
  contentHash,
  keyId,
  issuedAt,
]: StampTuple): HostInService['document'] {
  return generation === null ? null : { generation, contentHash, keyId, issuedAt };
}

/** The document of an agent that is out of service: nobody may follow it, and nothing be downloaded by it. */
export async function deleteDesired(tx: Transaction, agentId: AgentId): Promise<void> {
  await tx.delete(desired).where(eq(desired.agentId, agentId));
}
