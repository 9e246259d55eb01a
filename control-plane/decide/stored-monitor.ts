import { z } from 'zod';
import type { Digest } from '../../protocol/ids.ts';
import type { MonitoringInForce } from '../../protocol/monitoring.ts';
import type { DriftStreamRow } from '../store/drift-streams.ts';
import { type MonitorShape, type MonitorState, newMonitor } from './drift-monitor.ts';
import { type Stream, type StreamMeasure, type StreamMemory, streamKey } from './stream.ts';
import { NEW_STREAM, type StreamState, severities } from './stream-state.ts';

const evidence = { logM: z.array(z.number().nullable()) };
const streamStateSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('insufficient'), ...evidence }),
  z.object({ kind: z.literal('ok'), ...evidence }),
  z.object({ kind: z.literal('watch'), ...evidence }),
  z.object({
    kind: z.literal('alert'),
    sinceMs: z.number(),
    calm: z.int(),
    severity: z.enum(severities),
  }),
  z.object({ kind: z.literal('cooling'), untilMs: z.number() }),
]) satisfies z.ZodType<StreamState>;

const sides = z.object({ reference: z.number(), current: z.number() });
const rate = { events: z.number(), trials: z.number() };
const effect = z.number();
const measureSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('distance'),
    effect,
    rows: sides,
    psi: z.number(),
    psiDebiased: z.number(),
    ks: z.number().nullable(),
    wasserstein: z.number().nullable(),
    jensenShannon: z.number(),
    lInfinity: z.number(),
    logP: z.number(),
    missingRate: sides,
    unseenRate: sides,
  }),
  z.object({ kind: z.literal('rate'), effect, rate: z.number(), tolerated: z.number(), ...rate }),
  z.object({
    kind: z.literal('latency'),
    effect,
    p95Us: z.number(),
    referenceP95Us: z.number(),
    ...rate,
  }),
  z.object({
    kind: z.literal('gap'),
    effect,
    group: z.string(),
    against: z.string(),
    rate: z.string(),
    difference: z.number(),
    reference: z.number(),
    rows: z.number(),
    rowsNeeded: z.number().nullable(),
  }),
  z.object({
    kind: z.literal('level'),
    effect,
    value: z.number(),
    reference: z.number(),
    rows: z.number(),
    logP: z.number(),
  }),
]) satisfies z.ZodType<StreamMeasure>;

const memorySchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('learning'), steps: z.int(), ...rate }),
  z.object({
    kind: z.literal('latency'),
    steps: z.int(),
    sparse: z.array(z.tuple([z.int(), z.number()])),
    p95: z.object({ bucket: z.int(), us: z.number() }).nullable(),
  }),
  z.object({
    kind: z.literal('series'),
    count: z.number(),
    mean: z.number(),
    scatter: z.number(),
    cross: z.number(),
    last: z.number().nullable(),
  }),
]) satisfies z.ZodType<StreamMemory>;

const streamRowSchema = z.object({
  state: streamStateSchema,
  last: measureSchema.nullable(),
  memory: memorySchema.nullable(),
});

const monitorRowSchema = z.object({
  judgedUntilMs: z.number(),
  blocks: z.int(),
  labelsJudgedMs: z.number(),
  labelSteps: z.int(),
  trust: z.number().nullable(),
  agreement: z
    .object({ rows: z.number(), estimated: z.number(), right: z.number() })
    .nullable()
    .default(null),
  outcome: z.object({ sinceMs: z.number(), groups: z.array(z.number()) }).nullable(),
}) satisfies z.ZodType<Omit<MonitorState, 'streams'>>;

/** The row of a version that is about no single stream. No stream has this key. */
const MONITOR_KEY = 'monitor';

/** The rows of a monitor, those whose stream has moved since `before`. */
export function monitorRows(
  deployment: string,
  manifest: Digest,
  monitor: MonitorState,
  before: MonitorState,
  now: number,
): DriftStreamRow[] {
  const { streams, ...own } = monitor;
  const known = new Set<Stream>(before.streams);
  const row = (stream: string, state: unknown) => ({
    ...{ deployment, manifest, stream, state, updatedAt: now },
  });
  return [
    row(MONITOR_KEY, own),
    ...streams
      .filter((stream) => !known.has(stream))
      .map((stream) => {
        const { state, last, memory } = stream;
        return row(streamKey(stream), { state, last: bounded(last), memory });
      }),
  ];
}

/** A measure without infinities, which JSON can't hold: ln p of 0 is as low as a number gets. */
function bounded(measure: StreamMeasure | null): StreamMeasure | null {
  if (measure === null || !('logP' in measure)) return measure;
  return { ...measure, logP: Math.max(measure.logP, -Number.MAX_VALUE) };
}

/** The monitor as it was left. A stream that can't be read (another build's) begins anew. */
export function restoreMonitor(
  shape: MonitorShape,
  config: MonitoringInForce,
  rows: readonly DriftStreamRow[],
): MonitorState {
  const stored = new Map(rows.map((row) => [row.stream, row.state]));
  const fresh = newMonitor(shape, config);
  const own = monitorRowSchema.safeParse(stored.get(MONITOR_KEY)).data;
  return {
    ...fresh,
    ...own,
    streams: fresh.streams.map((stream) => {
      const row = streamRowSchema.safeParse(stored.get(streamKey(stream))).data;
      return row === undefined ? { ...stream, state: NEW_STREAM } : { ...stream, ...row };
    }),
  };
}
