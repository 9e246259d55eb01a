import { z } from 'zod';
import { nameSchema, timestampSchema, versionNumberSchema } from './ids.ts';
import { ledgerMessageSchema } from './ledger.ts';
import { MAX_DEPLOYMENTS_PER_AGENT } from './limits.ts';

/** Lines of the log that a host keeps for whoever asks, and characters of each: 100 KB of a frame of 1 MiB. */
export const MAX_LOG_LINES = 200;
export const MAX_LOG_LINE = 500;
/** Engine processes of one host. */
const MAX_ENGINES = 256;
const MAX_SETTINGS = 64;

const bytesCount = z.number().min(0);

/** How one host is: bounded, and without a secret or a row of anybody's. */
export const diagnosticsSchema = z.object({
  at: timestampSchema,
  /** Of the package. */
  version: z.string().max(64),
  runtime: z.string().max(64),
  uptimeMs: z.number().min(0),
  /** What it was started with; tokens and paths of addresses are left out. */
  settings: z
    .record(nameSchema, z.union([z.string().max(500), z.number(), z.boolean(), z.null()]))
    .refine((settings) => Object.keys(settings).length <= MAX_SETTINGS, {
      message: `at most ${MAX_SETTINGS} settings`,
    }),
  draining: z.boolean(),
  desired: z.object({ observed: z.int().min(0), applied: z.int().min(0), stale: z.boolean() }),
  deployments: z
    .array(z.object({ name: nameSchema, versions: z.array(versionNumberSchema).max(64) }))
    .max(MAX_DEPLOYMENTS_PER_AGENT),
  engines: z.object({
    wanted: z.int().min(0),
    alive: z.int().min(0),
    /** Ended without having been told to, since the agent started. */
    deaths: z.int().min(0),
    connections: z.int().min(0),
    processes: z
      .array(z.object({ ordinal: z.int().min(0), pid: z.int().min(0), rssBytes: bytesCount }))
      .max(MAX_ENGINES),
  }),
  memory: z.object({ rssBytes: bytesCount, heapUsedBytes: bytesCount }),
  outbox: ledgerMessageSchema.shape.outbox,
  egress: ledgerMessageSchema.shape.egress,
  /** The newest lines of its log, oldest first. */
  log: z.array(z.string().max(MAX_LOG_LINE)).max(MAX_LOG_LINES),
});
export type Diagnostics = z.infer<typeof diagnosticsSchema>;
