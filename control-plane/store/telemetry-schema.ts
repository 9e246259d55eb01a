import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core';
import type { Arm } from '../../protocol/ids.ts';
import { bytes } from './bytes-column.ts';

/** What hosts have sent and what was made of it. Times as in `schema.ts`. */

/** Highest telemetry sequence merged for each start of each agent. */
export const cursors = sqliteTable(
  'cursors',
  {
    agentId: text('agent_id').notNull(),
    boot: text('boot').notNull(),
    sequence: integer('sequence').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.agentId, t.boot] })],
);

/** Merged telemetry: one row for each agent's part of a window. */
export const windows = sqliteTable(
  'windows',
  {
    deployment: text('deployment').notNull(),
    manifest: text('manifest').notNull(),
    arm: text('arm').$type<Arm>().notNull(),
    /** The agent's clock, aligned to `windowMs`. */
    windowStartMs: integer('window_start_ms').notNull(),
    windowMs: integer('window_ms').notNull(),
    agentId: text('agent_id').notNull(),
    /** Telemetry messages folded into this row. */
    parts: integer('parts').notNull(),
    requests: integer('requests').notNull(),
    rows: integer('rows').notNull(),
    errors: integer('errors').notNull(),
    body: bytes('body').notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [
    primaryKey({ columns: [t.deployment, t.manifest, t.arm, t.windowStartMs, t.agentId] }),
    index('windows_time').on(t.deployment, t.windowStartMs),
  ],
);

/** Windows of one host added up over an hour or a day (`levelMs`); a window belongs to where it begins. */
export const rollups = sqliteTable(
  'rollups',
  {
    deployment: text('deployment').notNull(),
    manifest: text('manifest').notNull(),
    arm: text('arm').$type<Arm>().notNull(),
    levelMs: integer('level_ms').notNull(),
    startMs: integer('start_ms').notNull(),
    agentId: text('agent_id').notNull(),
    parts: integer('parts').notNull(),
    requests: integer('requests').notNull(),
    rows: integer('rows').notNull(),
    errors: integer('errors').notNull(),
    body: bytes('body').notNull(),
    /** What it was made from may be deleted: from now on it is added to, and never made anew. */
    sealed: integer('sealed', { mode: 'boolean' }).notNull().default(false),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [
    primaryKey({
      columns: [t.deployment, t.manifest, t.arm, t.levelMs, t.startMs, t.agentId],
    }),
    index('rollups_time').on(t.deployment, t.levelMs, t.startMs),
    index('rollups_sealed').on(t.levelMs, t.sealed, t.startMs),
  ],
);

/** Roll-ups that something was merged under since they were made. Written with the window, in its transaction. */
export const rollupDue = sqliteTable(
  'rollup_due',
  {
    deployment: text('deployment').notNull(),
    manifest: text('manifest').notNull(),
    arm: text('arm').$type<Arm>().notNull(),
    levelMs: integer('level_ms').notNull(),
    startMs: integer('start_ms').notNull(),
    agentId: text('agent_id').notNull(),
  },
  (t) => [
    primaryKey({
      columns: [t.deployment, t.manifest, t.arm, t.levelMs, t.startMs, t.agentId],
    }),
    index('rollup_due_time').on(t.levelMs, t.startMs),
  ],
);

export const telemetryRefusalReasons = [
  'unknown-deployment',
  'not-assigned',
  'unknown-version',
  'other-reference',
  'damaged',
  'overflow',
  'from-the-future',
  'agent-revoked',
  'residency',
] as const;

/** Windows that were acknowledged and not merged. A row per host, deployment ('' if unknown) and reason. */
export const telemetryRefusals = sqliteTable(
  'telemetry_refusals',
  {
    agentId: text('agent_id').notNull(),
    deployment: text('deployment').notNull(),
    reason: text('reason', { enum: telemetryRefusalReasons }).notNull(),
    windows: integer('windows').notNull(),
    /** Of the latest one. */
    detail: text('detail').notNull(),
    lastAt: integer('last_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.agentId, t.deployment, t.reason] })],
);

/** Detectors that run over a deployment's windows, each with its own state. */
export const driftStreams = sqliteTable(
  'drift_streams',
  {
    deployment: text('deployment').notNull(),
    manifest: text('manifest').notNull(),
    stream: text('stream').notNull(),
    /** Parsed by `decide/`, which owns its shape. */
    state: text('state', { mode: 'json' }).$type<unknown>().notNull(),
    updatedAt: integer('updated_at').notNull(),
  },
  (t) => [primaryKey({ columns: [t.deployment, t.manifest, t.stream] })],
);
