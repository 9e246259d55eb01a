import type { BenchChild } from './child.ts';
import type { LoadCommand, Stream, StreamResult } from './load.ts';
import { median, type Quartiles, quartiles, showQuartiles } from './report.ts';
import type { Server } from './server.ts';

export type Load = BenchChild<LoadCommand, StreamResult[]>;

/** One side of a comparison: a server, and what is sent to it. */
export interface Side {
  readonly label: string;
  readonly server: Server;
  readonly stream: Stream;
}

export interface Measured extends StreamResult {
  readonly cpuUsPerRequest: number;
}

export interface Windows {
  readonly label: string;
  readonly windows: readonly Measured[];
}

export interface Effort {
  readonly rounds: number;
  readonly windowMs: number;
}

export async function measure(side: Side, load: Load, durationMs: number): Promise<Measured> {
  const { server, stream } = side;
  server.resume?.();
  const before = await server.cpuUs();
  const [result] = await load.ask({ port: server.port, durationMs, streams: [stream] });
  const spent = (await server.cpuUs()) - before;
  server.pause?.();
  return { ...result, cpuUsPerRequest: spent / result.requests };
}

/** Until the functions on the way of a request are compiled, and what they allocate has found its size. */
const WARM_UP_MS = 2_000;

/**
 * A, B, ..., A, B, ...; the first round warms all of them up and is not in what was measured. `thrownAway`: requests
 * that each side answered in it.
 */
export async function alternate(
  sides: readonly Side[],
  load: Load,
  { rounds, windowMs }: Effort,
): Promise<{ measured: Windows[]; thrownAway: number[] }> {
  const windows = sides.map((): Measured[] => []);
  const thrownAway: number[] = [];
  for (let round = 0; round <= rounds; round += 1) {
    for (const [at, side] of sides.entries()) {
      const durationMs = round === 0 ? Math.max(windowMs, WARM_UP_MS) : windowMs;
      const measured = await measure(side, load, durationMs);
      if (round === 0) thrownAway.push(measured.requests);
      else windows[at].push(measured);
    }
  }
  const measured = sides.map(({ label }, at) => ({ label, windows: windows[at] }));
  return { measured, thrownAway };
}

/** Of the windows of one round each: the ratio's median is not the ratio of the two medians. */
export function ratio(over: Windows, under: Windows, of: keyof Measured = 'perSecond'): Quartiles {
  return quartiles(over.windows.map((window, at) => window[of] / under.windows[at][of]));
}

export const COMPARE_HEADING = [
  'conns',
  'server',
  'req/s',
  'ratio (q1-q3)',
  'CPU us/req',
  'ratio (q1-q3)',
  'p50 us',
  'ratio (q1-q3)',
  'p99 us',
  'errors',
];

/** A row of the table: ratios are to `base`, which has none itself. */
export function compareRow(connections: number, of: Windows, base: Windows): string[] {
  const middle = (key: keyof Measured, digits: number) =>
    median(of.windows.map((window) => window[key])).toFixed(digits);
  const ratioOf = (key: keyof Measured) =>
    of === base ? '1' : showQuartiles(ratio(of, base, key));
  return [
    String(connections),
    of.label,
    middle('perSecond', 0),
    ratioOf('perSecond'),
    middle('cpuUsPerRequest', 1),
    ratioOf('cpuUsPerRequest'),
    middle('p50Us', 0),
    ratioOf('p50Us'),
    middle('p99Us', 0),
    String(errorsIn([of])),
  ];
}

export function errorsIn(sides: readonly Windows[]): number {
  return sides.reduce(
    (sum, { windows }) => windows.reduce((part, { errors }) => part + errors, sum),
    0,
  );
}

export function answeredIn({ windows }: Windows): number {
  return windows.reduce((sum, { requests }) => sum + requests, 0);
}
