import { z } from 'zod';
import type { Digest } from '../../protocol/ids.ts';
import type { DriftStreamRow } from '../store/drift-streams.ts';
import {
  type MonitorShape,
  type MonitorState,
  newMonitor,
  type Stream,
  type StreamMeasure,
} from './drift-monitor.ts';
import { NEW_STREAM, type StreamState } from './stream-state.ts';

const evidence = { logM: z.number().nullable() };
const streamStateSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('insufficient'), ...evidence }),
  z.object({ kind: z.literal('ok'), ...evidence }),
  z.object({ kind: z.literal('watch'), ...evidence }),
  z.object({ kind: z.literal('alert'), ...evidence, sinceMs: z.number(), calm: z.int() }),
]) satisfies z.ZodType<StreamState>;

const sides = z.object({ reference: z.number(), current: z.number() });
const measureSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('distance'),
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
  z.object({ kind: z.literal('rate'), rate: z.number(), events: z.number(), trials: z.number() }),
]) satisfies z.ZodType<StreamMeasure>;

const rowStateSchema = z.object({
  state: streamStateSchema,
  last: measureSchema.nullable(),
  judgedUntilMs: z.number(),
  blocks: z.int(),
});

/** How a stream is called in the database and over HTTP. */
export function streamKey(stream: Pick<Stream, 'kind' | 'name'>): string {
  return stream.kind === 'feature' ? `feature:${stream.name}` : stream.kind;
}

export function streamRow(
  deployment: string,
  manifest: Digest,
  monitor: MonitorState,
  stream: Stream,
  now: number,
): DriftStreamRow {
  const { judgedUntilMs, blocks } = monitor;
  const state = { state: stream.state, last: stream.last, judgedUntilMs, blocks };
  return { deployment, manifest, stream: streamKey(stream), state, updatedAt: now };
}

/** The monitor as it was left. A stream that can't be read (another build's) begins anew. */
export function restoreMonitor(shape: MonitorShape, rows: readonly DriftStreamRow[]): MonitorState {
  const stored = new Map(rows.map((row) => [row.stream, rowStateSchema.safeParse(row.state).data]));
  const fresh = newMonitor(shape);
  const known = [...stored.values()].flatMap((row) => (row === undefined ? [] : [row]));
  return {
    judgedUntilMs: Math.max(0, ...known.map((row) => row.judgedUntilMs)),
    blocks: Math.max(0, ...known.map((row) => row.blocks)),
    streams: fresh.streams.map((stream) => {
      const row = stored.get(streamKey(stream));
      return { ...stream, state: row?.state ?? NEW_STREAM, last: row?.last ?? null };
    }),
  };
}
