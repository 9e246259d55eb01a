import type { Digest } from '../../../protocol/ids.ts';
import type { EngineExit, EngineProcess } from './engine-process.ts';
import { blamesOpening, showHang } from './watchdog.ts';

/** How one engine ended that was not told to, and what it was about. */
export interface EngineDeath {
  readonly ordinal: number;
  readonly pid: number;
  /** `SIGSEGV`, `code 1`, or `hung (…)` with how. */
  readonly cause: string;
  readonly atMs: number;
  /** Versions it was opening and that no engine had served. */
  readonly loading: readonly Digest[];
  /** Versions with a request on a worker thread or in its queue. */
  readonly computing: readonly Digest[];
  /** The version it computed last in its own thread. */
  readonly computedLast: Digest | null;
}

type Ended = Pick<
  EngineProcess,
  'ordinal' | 'pid' | 'abandoned' | 'hang' | 'loading' | 'computing' | 'trace'
>;

/** What is known of an engine that has ended. One that the supervisor gave up has died of no version. */
export function deathOf(engine: Ended, exit: EngineExit, atMs: number): EngineDeath {
  const { ordinal, pid = 0, hang, loading, abandoned } = engine;
  const ended = { ordinal, pid, atMs };
  if (abandoned) {
    return { ...ended, cause: 'the supervisor', loading: [], computing: [], computedLast: null };
  }
  const cause = hang === null ? (exit.signal ?? `code ${exit.code}`) : showHang(hang);
  return { ...ended, cause, loading: blamesOpening(hang) ? [...loading] : [], ...suspects(engine) };
}

/** Of a hang more is known than of a crash: the very call, or that it was the engine's own thread. */
function suspects({
  hang,
  computing,
  trace,
}: Ended): Pick<EngineDeath, 'computing' | 'computedLast'> {
  const { computedLast } = trace;
  if (hang?.kind === 'call') return { computing: [hang.manifest], computedLast: null };
  if (hang?.kind === 'silent' && computedLast !== null) return { computing: [], computedLast };
  return { computing, computedLast };
}
