import { sql } from 'drizzle-orm';
import {
  index,
  integer,
  primaryKey,
  sqliteTable,
  text,
  uniqueIndex,
} from 'drizzle-orm/sqlite-core';
import type { RefusalCode } from '../../protocol/error.ts';
import type { Guard } from '../../protocol/guard.ts';
import type { HelloMessage } from '../../protocol/hello.ts';
import type { Labels } from '../../protocol/ids.ts';
import type { Lease, ReportedLease } from '../../protocol/lease.ts';
import type { Manifest } from '../../protocol/manifest.ts';
import type { Monitoring } from '../../protocol/monitoring.ts';
import type { ReportedArm } from '../../protocol/report.ts';
import { type Residency, UNRESTRICTED } from '../../protocol/residency.ts';
import type { Serving } from '../../protocol/serving.ts';
import type { Trip } from '../../protocol/trip.ts';
import type { Tuning } from '../../protocol/tuning.ts';
import { bytes } from './bytes-column.ts';

/** Times are milliseconds since the Unix epoch, on the control plane's clock unless a comment says otherwise. */

export const roles = ['admin', 'operator', 'viewer'] as const;

/** People's and programs' bearer tokens. Only the SHA-256 is kept. */
export const tokens = sqliteTable('tokens', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  role: text('role', { enum: roles }).notNull(),
  hash: text('hash').notNull().unique(),
  createdAt: integer('created_at').notNull(),
  revokedAt: integer('revoked_at'),
});

/** Files that are complete and verified; the bytes are in `blobs/`. */
export const artifacts = sqliteTable('artifacts', {
  digest: text('digest').primaryKey(),
  sizeBytes: integer('size_bytes').notNull(),
  createdAt: integer('created_at').notNull(),
  createdBy: text('created_by').notNull(),
});

export const models = sqliteTable('models', {
  name: text('name').primaryKey(),
  createdAt: integer('created_at').notNull(),
});

/** Immutable: a version is its manifest. */
export const versions = sqliteTable(
  'versions',
  {
    model: text('model').notNull(),
    version: integer('version').notNull(),
    manifest: text('manifest').notNull(),
    document: text('document', { mode: 'json' }).$type<Manifest>().notNull(),
    createdAt: integer('created_at').notNull(),
    createdBy: text('created_by').notNull(),
    /** The release keys are not here: it may not be deployed before somebody who has them has signed it. */
    awaitsRelease: integer('awaits_release', { mode: 'boolean' }).notNull().default(false),
  },
  (t) => [
    primaryKey({ columns: [t.model, t.version] }),
    uniqueIndex('versions_manifest').on(t.manifest),
  ],
);

/** Signatures as they are stored: JSON, in hex. */
export interface StoredSignature {
  readonly keyId: string;
  readonly signature: string;
}

/** The chain of roots. None is ever changed or taken away. */
export const roots = sqliteTable('roots', {
  version: integer('version').primaryKey(),
  payload: bytes('payload').notNull(),
  signatures: text('signatures', { mode: 'json' }).$type<StoredSignature[]>().notNull(),
  createdAt: integer('created_at').notNull(),
});

/** What release keys have signed of each version, perhaps by fewer keys than it takes yet. */
export const releases = sqliteTable('releases', {
  manifest: text('manifest').primaryKey(),
  payload: bytes('payload').notNull(),
  signatures: text('signatures', { mode: 'json' }).$type<StoredSignature[]>().notNull(),
  updatedAt: integer('updated_at').notNull(),
});

export const deployments = sqliteTable('deployments', {
  name: text('name').primaryKey(),
  model: text('model').notNull(),
  /** What the stable arm answers with. */
  version: integer('version').notNull(),
  /** What it answered with before: where `rollback` goes when it is not told. */
  previousVersion: integer('previous_version'),
  /** Labels an agent must carry; none: every agent. */
  selector: text('selector', { mode: 'json' }).$type<Labels>().notNull(),
  windowMs: integer('window_ms').notNull(),
  createdAt: integer('created_at').notNull(),
  updatedAt: integer('updated_at').notNull(),
  /** What an operator has set; wins over `tuned`. */
  serving: text('serving', { mode: 'json' }).$type<Serving>().notNull().default({}),
  /** What the latest tuning recommends. */
  tuned: text('tuned', { mode: 'json' }).$type<Serving>().notNull().default({}),
  /** Versions that stay loaded for requests that name them. */
  pinned: text('pinned', { mode: 'json' }).$type<number[]>().notNull().default([]),
  /** How it is watched; what is not given has the defaults of `monitoringInForce`. */
  monitoring: text('monitoring', { mode: 'json' }).$type<Monitoring>().notNull().default({}),
  /** When hosts take an arm back by themselves; {}: never. */
  guard: text('guard', { mode: 'json' }).$type<Guard>().notNull().default({}),
  /** How long hosts may serve it without a word of ours; null: for ever. */
  lease: text('lease', { mode: 'json' }).$type<Lease>(),
  /** Where it may be. */
  residency: text('residency', { mode: 'json' }).$type<Residency>().notNull().default(UNRESTRICTED),
});

export const rollouts = sqliteTable(
  'rollouts',
  {
    id: text('id').primaryKey(),
    deployment: text('deployment').notNull(),
    model: text('model').notNull(),
    fromVersion: integer('from_version').notNull(),
    toVersion: integer('to_version').notNull(),
    /** Both are parsed by `rollout/`, which owns their shapes. */
    plan: text('plan', { mode: 'json' }).$type<unknown>().notNull(),
    state: text('state', { mode: 'json' }).$type<unknown>().notNull(),
    createdBy: text('created_by').notNull(),
    createdAt: integer('created_at').notNull(),
    updatedAt: integer('updated_at').notNull(),
    finishedAt: integer('finished_at'),
  },
  (t) => [
    index('rollouts_deployment').on(t.deployment, t.createdAt),
    // Two releases of one deployment at a time could not be told apart by their evidence.
    uniqueIndex('rollouts_one_live').on(t.deployment).where(sql`finished_at is null`),
  ],
);

export const agents = sqliteTable('agents', {
  id: text('id').primaryKey(),
  name: text('name').notNull(),
  publicKey: bytes('public_key').notNull().unique(),
  labels: text('labels', { mode: 'json' }).$type<Labels>().notNull(),
  serving: text('serving'),
  capabilities: text('capabilities', { mode: 'json' })
    .$type<HelloMessage['capabilities']>()
    .notNull(),
  joinedAt: integer('joined_at').notNull(),
  lastSeenAt: integer('last_seen_at').notNull(),
  revokedAt: integer('revoked_at'),
  /** From the latest report: highest generation accepted, and highest that every engine serves. */
  observedGeneration: integer('observed_generation').notNull(),
  appliedGeneration: integer('applied_generation').notNull(),
  /** When `appliedGeneration` was first reported. */
  appliedAt: integer('applied_at'),
  /** The wire it spoke when it last said hello: what its document may hold. */
  protocol: integer('protocol').notNull().default(1),
  /** When it was let in; null: it waits for an operator to look at its fingerprint. */
  approvedAt: integer('approved_at'),
  /** From the latest report: its document has expired. */
  stale: integer('stale', { mode: 'boolean' }).notNull().default(false),
  /** From the latest report: it refuses requests. */
  draining: integer('draining', { mode: 'boolean' }).notNull().default(false),
  /** Where an operator says that it is; null: nobody has said. Never what the host says of itself. */
  jurisdiction: text('jurisdiction'),
});

/** Deployments that an agent's documents name or named: whose windows it may send. */
export const assignments = sqliteTable(
  'assignments',
  {
    agentId: text('agent_id').notNull(),
    deployment: text('deployment').notNull(),
  },
  (t) => [primaryKey({ columns: [t.agentId, t.deployment] })],
);

/** Single-use admission of a new agent. Only the SHA-256 of the secret is kept. */
export const joinTokens = sqliteTable('join_tokens', {
  id: text('id').primaryKey(),
  secretHash: text('secret_hash').notNull(),
  labels: text('labels', { mode: 'json' }).$type<Labels>().notNull(),
  createdBy: text('created_by').notNull(),
  createdAt: integer('created_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  usedAt: integer('used_at'),
  usedBy: text('used_by'),
  /** Whoever joins with it waits for an operator. */
  requireApproval: integer('require_approval', { mode: 'boolean' }).notNull().default(false),
  /** Where whoever joins with it is. */
  jurisdiction: text('jurisdiction'),
});

/**
 * The document in force for each agent: what it is made of. Its bytes are made anew when they are sent, always the same
 * ones, and signed then: kept as they were signed, a rollback of a fleet would write megabytes before the first byte left.
 */
export const desired = sqliteTable('desired', {
  agentId: text('agent_id').primaryKey(),
  generation: integer('generation').notNull().unique(),
  /** Which of `desired_contents`. Equal content makes no new generation. */
  contentHash: text('content_hash').notNull(),
  keyId: text('key_id').notNull(),
  issuedAt: integer('issued_at').notNull(),
  expiresAt: integer('expires_at').notNull(),
  createdAt: integer('created_at').notNull(),
});

/** What hosts shall run, without generation and times: once, for all to whom it is the same. */
export const desiredContents = sqliteTable('desired_contents', {
  hash: text('hash').primaryKey(),
  /** JSON of the deployments, character for character as it is signed. */
  deployments: text('deployments').notNull(),
});

/** What each agent last said of each deployment. */
export const reports = sqliteTable(
  'reports',
  {
    agentId: text('agent_id').notNull(),
    deployment: text('deployment').notNull(),
    arms: text('arms', { mode: 'json' }).$type<ReportedArm[]>().notNull(),
    /** The agent's clock. */
    at: integer('at').notNull(),
    receivedAt: integer('received_at').notNull(),
    /** What the host says of its lease; null: it has none. */
    lease: text('lease', { mode: 'json' }).$type<ReportedLease>(),
  },
  (t) => [
    primaryKey({ columns: [t.agentId, t.deployment] }),
    index('reports_deployment').on(t.deployment),
  ],
);

/** Digests an agent has refused: not offered to it again as they stand. Outlives the report that said so. */
export const refusals = sqliteTable(
  'refusals',
  {
    agentId: text('agent_id').notNull(),
    deployment: text('deployment').notNull(),
    manifest: text('manifest').notNull(),
    code: text('code').$type<RefusalCode>().notNull(),
    detail: text('detail').notNull(),
    at: integer('at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.agentId, t.deployment, t.manifest] })],
);

/** What guards of hosts took back, once each, however often reports bring it. */
export const guardTrips = sqliteTable(
  'guard_trips',
  {
    /** The host made it up: another one's may be the same. */
    id: text('id').notNull(),
    agentId: text('agent_id').notNull(),
    deployment: text('deployment').notNull(),
    /** As the host sent it. */
    trip: text('trip', { mode: 'json' }).$type<Trip>().notNull(),
    /** When it was first heard of here. */
    receivedAt: integer('received_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.agentId, t.id] }),
    index('guard_trips_deployment').on(t.deployment, t.receivedAt),
    index('guard_trips_received').on(t.receivedAt),
  ],
);

export const alertKinds = [
  'input-drift',
  'prediction-drift',
  'errors',
  'data-quality',
  'latency',
  'concept-drift',
  'performance',
  'fairness',
  'evaluation',
  'guard-tripped',
] as const;

export const alerts = sqliteTable(
  'alerts',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    deployment: text('deployment').notNull(),
    manifest: text('manifest').notNull(),
    kind: text('kind', { enum: alertKinds }).notNull(),
    /** What moved, how far, and over how many rows, when it was raised. */
    detail: text('detail', { mode: 'json' }).$type<Record<string, unknown>>().notNull(),
    openedAt: integer('opened_at').notNull(),
    resolvedAt: integer('resolved_at'),
  },
  (t) => [
    uniqueIndex('alerts_one_open')
      .on(t.deployment, t.manifest, t.kind)
      .where(sql`resolved_at is null`),
  ],
);

/** Who did what. Triggers refuse UPDATE and DELETE. */
export const events = sqliteTable('events', {
  sequence: integer('sequence').primaryKey({ autoIncrement: true }),
  at: integer('at').notNull(),
  actor: text('actor').notNull(),
  action: text('action').notNull(),
  subject: text('subject').notNull(),
  detail: text('detail', { mode: 'json' }).$type<Record<string, unknown>>().notNull(),
});

/** What hosts measured of deployments, newest last. */
export const tunings = sqliteTable(
  'tunings',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    deployment: text('deployment').notNull(),
    version: integer('version').notNull(),
    agentId: text('agent_id').notNull(),
    at: integer('at').notNull(),
    /** As the host sent it: `rows`, `recommended` and why. */
    tuning: text('tuning', { mode: 'json' }).$type<Tuning>().notNull(),
  },
  (t) => [index('tunings_deployment').on(t.deployment, t.id)],
);

/** Fleet-wide counters. */
export const counters = sqliteTable('counters', {
  name: text('name').primaryKey(),
  value: integer('value').notNull(),
});

export const channelKinds = ['webhook', 'slack', 'email'] as const;

/** Where alerts are told. Secrets must be usable, so they are sealed (`notify/secret-box.ts`), not hashed. */
export const channels = sqliteTable('channels', {
  name: text('name').primaryKey(),
  kind: text('kind', { enum: channelKinds }).notNull(),
  /** What may be shown: of an address its origin only, since paths and queries carry secrets. */
  shown: text('shown', { mode: 'json' }).$type<Record<string, unknown>>().notNull(),
  /** The whole configuration, encrypted. */
  sealed: bytes('sealed').notNull(),
  createdAt: integer('created_at').notNull(),
});

export const transitions = ['opened', 'escalated', 'resolved'] as const;
export const deliveryStates = ['pending', 'delivered', 'failed', 'withheld'] as const;

/** One row for each transition of an alert and each channel: the queue, and afterwards the record of it. */
export const deliveries = sqliteTable(
  'deliveries',
  {
    id: integer('id').primaryKey({ autoIncrement: true }),
    /** The same in every attempt: by it a receiver knows a message it has had. */
    messageId: text('message_id').notNull().unique(),
    channel: text('channel').notNull(),
    alert: integer('alert').notNull(),
    transition: text('transition', { enum: transitions }).notNull(),
    state: text('state', { enum: deliveryStates }).notNull(),
    attempts: integer('attempts').notNull(),
    nextAttemptAt: integer('next_attempt_at').notNull(),
    /** What the latest attempt met; never a secret. */
    failure: text('failure'),
    createdAt: integer('created_at').notNull(),
    finishedAt: integer('finished_at'),
  },
  (t) => [
    index('deliveries_due').on(t.state, t.nextAttemptAt),
    index('deliveries_alert').on(t.alert, t.id),
  ],
);

/** What people have said of an alert. */
export const alertHandling = sqliteTable('alert_handling', {
  alert: integer('alert').primaryKey(),
  acknowledgedAt: integer('acknowledged_at'),
  acknowledgedBy: text('acknowledged_by'),
  silencedUntil: integer('silenced_until'),
  silenceReason: text('silence_reason'),
});
