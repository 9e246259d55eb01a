import type { Digest } from '../../../protocol/ids.ts';

/** How one engine ended that was not told to, and what it was about. */
export interface EngineDeath {
  readonly ordinal: number;
  readonly pid: number;
  /** `SIGSEGV`, or `code 1`. */
  readonly cause: string;
  readonly atMs: number;
  /** Versions it was opening and that no engine had served. */
  readonly loading: readonly Digest[];
  /** Versions with a request on a worker thread or in its queue. */
  readonly computing: readonly Digest[];
  /** The version it computed last in its own thread. */
  readonly computedLast: Digest | null;
}
