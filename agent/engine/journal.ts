import { closeSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import type { Digest } from '../../protocol/ids.ts';
import type { Session } from './model/runtime.ts';

/** Every digest has this form, so one overwrites another whole. Behind it the number of the last connection. */
const DIGEST_BYTES = 'sha256:'.length + 64;
/** 2^48 connections are enough for any engine. */
const CONNECTION_BYTES = 6;

/** What a process that has ended left behind. */
export interface Trace {
  /** The version it computed last in its own thread; null when it never did. */
  readonly computedLast: Digest | null;
  /** The highest number of a connection that it may have read from. */
  readonly lastConnection: number;
}

/**
 * What an engine is about, in a file that outlives the process: a native crash leaves no other trace. The page cache
 * keeps what a dead process wrote, no disk is waited for, so a write is 1 to 2 µs. The version is written only when it
 * changes: a host that serves one pays nothing for it.
 */
export class ComputeJournal {
  readonly #file: number;
  readonly #number = Buffer.alloc(CONNECTION_BYTES);
  #last: Digest | null = null;

  constructor(path: string) {
    this.#file = openSync(path, 'w', 0o600);
  }

  /** Called right before the native code is. */
  computing(manifest: Digest): void {
    if (this.#last === manifest) return;
    this.#last = manifest;
    writeSync(this.#file, manifest, 0);
  }

  /** Called right before anything is read from a connection; their numbers ascend. */
  taken(connection: number): void {
    this.#number.writeUIntLE(connection, 0, CONNECTION_BYTES);
    writeSync(this.#file, this.#number, 0, CONNECTION_BYTES, DIGEST_BYTES);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Reads what an ended process left, and removes it. */
export function takeTrace(path: string): Trace {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
    rmSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return { computedLast: null, lastConnection: 0 };
  }
  const digest = bytes.toString('latin1', 0, DIGEST_BYTES);
  const hasConnection = bytes.length === DIGEST_BYTES + CONNECTION_BYTES;
  return {
    computedLast: digest.startsWith('sha256:') ? digest : null,
    lastConnection: hasConnection ? bytes.readUIntLE(DIGEST_BYTES, CONNECTION_BYTES) : 0,
  };
}

/** A session that leaves a trace of its calls. Those on worker threads are known by who waits for them. */
export function journaled(
  session: Session,
  manifest: Digest,
  journal: Pick<ComputeJournal, 'computing'>,
): Session {
  if (session.lanes > 0) return session;
  const { runSync } = session;
  return {
    provider: session.provider,
    lanes: session.lanes,
    run(inputs) {
      journal.computing(manifest);
      return session.run(inputs);
    },
    ...(runSync === undefined
      ? {}
      : {
          runSync(inputs) {
            journal.computing(manifest);
            return runSync.call(session, inputs);
          },
        }),
    release: () => session.release(),
  };
}
