import type { Digest } from '../../protocol/ids.ts';
import { emptyWindow, type WindowSketch } from '../../protocol/sketch/window.ts';
import { addDecoded } from '../merge/fold.ts';
import { type Decomposition, decompose } from '../reading/decomposition.ts';
import type { Reader } from '../store/database.ts';
import { countWindows, type WindowQuery, windowPages } from '../store/window-pages.ts';
import type { MonitorShape } from './drift-monitor.ts';
import type { Span } from './monitors.ts';
import { type Stream, streamKey } from './stream.ts';

/** Whether what hosts send has changed, or which hosts send. Sizes are total variation distances. */
export interface StreamCause {
  readonly cause: Decomposition['cause'];
  readonly within: number;
  readonly mix: number;
  /** Share of the hosts' differences beyond chance; null below two hosts with enough rows. */
  readonly iSquared: number | null;
  readonly most: readonly {
    readonly host: string;
    readonly within: number;
    readonly mix: number;
  }[];
}

/** Stored windows that an explanation may read: a second of work. */
const MAX_WINDOWS = 4000;
/** Hosts and columns that an alert names. */
const MAX_NAMED = 5;
/** What was before: spans of the same length, without the last ones, which the change may have begun in. */
const SPANS_BEFORE = 15;
const SPANS_BETWEEN = 3;

/** The cause for each stream of a column, where more than one host sends it; empty where that can't be told. */
export async function decomposeStreams(
  db: Reader,
  deployment: string,
  manifest: Digest,
  shape: MonitorShape,
  streams: readonly Stream[],
  span: Span,
): Promise<ReadonlyMap<string, StreamCause>> {
  const columns = streams.filter(({ kind }) => kind === 'feature' || kind === 'prediction');
  const causes = new Map<string, StreamCause>();
  const length = span.endMs - span.startMs;
  if (columns.length === 0 || length <= 0) return causes;
  const query = { deployment, manifest, arm: 'stable' as const, hosts: { agents: [], labels: {} } };
  const now = { ...query, fromMs: span.startMs, toMs: span.endMs };
  // Before it began, not before now: an hour later the last spans hold the new mix alone, and it would explain nothing.
  const beganMs = Math.min(span.startMs, ...columns.map((stream) => beganAt(stream, length)));
  const earlier = {
    ...query,
    fromMs: Math.max(0, beganMs - SPANS_BEFORE * length),
    toMs: Math.max(0, beganMs - SPANS_BETWEEN * length),
  };
  if ((await countWindows(db, now)) + (await countWindows(db, earlier)) > MAX_WINDOWS)
    return causes;
  const before = await byHost(db, shape, earlier);
  const after = await byHost(db, shape, now);
  const hosts = [...new Set([...before.keys(), ...after.keys()])];
  if (hosts.length < 2 || before.size === 0) return causes;
  const empty = emptyWindow(shape.grids);
  for (const stream of columns.slice(0, MAX_NAMED)) {
    const column = (window: WindowSketch | undefined) => columnOf(window ?? empty, shape, stream);
    const shares = hosts.map((host) => {
      return { host, before: column(before.get(host)), now: column(after.get(host)) };
    });
    const parts = decompose(shares);
    if (parts !== null) causes.set(streamKey(stream), causeOf(parts));
  }
  return causes;
}

/** Start of the block in which a stream went into alert. */
function beganAt({ state }: Stream, blockMs: number): number {
  return state.kind === 'alert' ? state.sinceMs - blockMs : Number.POSITIVE_INFINITY;
}

function columnOf(window: WindowSketch, { features }: MonitorShape, { kind, name }: Stream) {
  return kind === 'prediction' ? window.prediction : window.features[features.indexOf(name)];
}

async function byHost(db: Reader, { grids }: MonitorShape, query: WindowQuery) {
  const hosts = new Map<string, WindowSketch>();
  for await (const page of windowPages(db, query)) {
    for (const { agentId, body } of page) {
      const sum = hosts.get(agentId) ?? emptyWindow(grids);
      addDecoded(sum, body);
      hosts.set(agentId, sum);
    }
  }
  return hosts;
}

function causeOf({ cause, within, mix, heterogeneity, hosts }: Decomposition): StreamCause {
  return {
    cause,
    within,
    mix,
    iSquared: heterogeneity?.iSquared ?? null,
    most: hosts.slice(0, MAX_NAMED).map(({ host, ...part }) => {
      return { host, within: part.within, mix: part.mix };
    }),
  };
}
