import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Client, createClient } from '@libsql/client';
import { sql } from 'drizzle-orm';
import { drizzle, type LibSQLDatabase } from 'drizzle-orm/libsql';
import { migrate } from 'drizzle-orm/libsql/migrator';
import type * as schema from './schema.ts';

export type Database = LibSQLDatabase<typeof schema>;
/** Inside `Store.write`. Functions that change something take this, so that no write escapes the queue. */
export type Transaction = Parameters<Parameters<Database['transaction']>[0]>[0];
/** Functions that only read take either. */
export type Reader = Database | Transaction;

/** Another process (a backup, `sqlite3` by hand) may hold the file this long before a write fails. */
const BUSY_TIMEOUT_MS = 5000;

// Beside this file both in the sources and in dist/, where the build copies it.
const MIGRATIONS = fileURLToPath(new URL('./migrations', import.meta.url));

/** How long writes are added to one commit. A commit is an fsync, milliseconds on many disks; a write far below one. */
const GROUP_MS = 20;

interface Write {
  readonly work: (tx: Transaction) => Promise<unknown>;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
}

type Outcome =
  | { readonly kind: 'done'; readonly value: unknown }
  | { readonly kind: 'undone'; readonly error: unknown };

/**
 * The database: any number of readers, one writer at a time.
 *
 * libSQL's file driver blocks the thread while it waits for a lock, so a second transaction of this process would wait
 * for the first on the thread that has to finish it: writes queue. Those that wait share a commit, each behind a savepoint
 * of its own: ten thousand hosts that report at once are a few fsyncs.
 */
export class Store {
  readonly read: Database;
  readonly #client: Client;
  #queue: Write[] = [];
  /** Ahead of the queue. */
  #urgent: Write[] = [];
  #closed = false;
  #draining: Promise<void> | null = null;
  #commits = 0;
  readonly #waiting = new Set<() => void>();

  private constructor(client: Client, database: Database) {
    this.#client = client;
    this.read = database;
  }

  /** Opens (or creates) `driftline.db` in `dataDir` and brings it to this build's schema. */
  static async open(dataDir: string): Promise<Store> {
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const file = join(dataDir, 'driftline.db');
    const client = createClient({ url: pathToFileURL(file).href, timeout: BUSY_TIMEOUT_MS });
    try {
      await client.execute('PRAGMA journal_mode = WAL');
      const database: Database = drizzle(client);
      await migrate(database, { migrationsFolder: MIGRATIONS });
      await chmod(file, 0o600);
      return new Store(client, database);
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /**
   * Runs `work` in a transaction: what it did is committed when this resolves, and undone when it rejects. Calls run in
   * their order, each once, and see what those before them did. `work` must not call `write` itself: it would wait for
   * its own end.
   */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#enqueue(this.#queue, work);
  }

  /**
   * As `write`, ahead of all that waits there and behind earlier calls of this: a rollback is not to wait for the windows of
   * a fleet.
   */
  writeFirst<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#enqueue(this.#urgent, work);
  }

  #enqueue<T>(queue: Write[], work: (tx: Transaction) => Promise<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Error('the database is closed'));
    return new Promise<T>((resolve, reject) => {
      queue.push({ work, resolve, reject });
      this.#draining ??= this.#drain();
    });
  }

  #next(): Write | undefined {
    return this.#urgent.shift() ?? this.#queue.shift();
  }

  async #drain(): Promise<void> {
    while (this.#urgent.length + this.#queue.length > 0) {
      await this.#commitGroup();
      // The driver answers at once, so that whoever writes again and again would keep the thread for itself: with ten
      // thousand hosts no request and no link would be heard for seconds.
      await new Promise<void>((turn) => setImmediate(turn));
    }
    // In the same turn in which the queue was found empty: what comes next starts anew.
    this.#draining = null;
  }

  /** Some of the first writes in the queue, in one transaction. */
  async #commitGroup(): Promise<void> {
    const group: { readonly write: Write; readonly outcome: Outcome }[] = [];
    let current: Write | undefined;
    try {
      await this.read.transaction(async (tx) => {
        const untilMs = performance.now() + GROUP_MS;
        do {
          current = this.#next();
          if (current === undefined) return;
          group.push({ write: current, outcome: await inSavepoint(tx, current.work) });
          current = undefined;
        } while (performance.now() < untilMs);
      });
    } catch (error) {
      // The disk is full, say: nothing of the group is there, and who asked is told so.
      for (const { write } of group) write.reject(error);
      // A transaction that could not even begin has taken nobody: whoever is next is told, or it would be tried for ever.
      const failed = current ?? (group.length === 0 ? this.#next() : undefined);
      failed?.reject(error);
      return;
    }
    this.#committed();
    for (const { write, outcome } of group) {
      if (outcome.kind === 'done') write.resolve(outcome.value as never);
      else write.reject(outcome.error);
    }
  }

  /** Transactions that this process has committed. */
  get commits(): number {
    return this.#commits;
  }

  /** Resolves as soon as there are more commits than `since`, after `timeoutMs`, or when `signal` aborts. */
  async nextCommit(since: number, timeoutMs: number, signal: AbortSignal): Promise<void> {
    if (this.#commits > since || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', wake);
        this.#waiting.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, timeoutMs);
      signal.addEventListener('abort', wake);
      this.#waiting.add(wake);
    });
  }

  #committed(): void {
    this.#commits += 1;
    for (const wake of this.#waiting) wake();
  }

  /** Waits for queued writes, then closes the file. */
  /** Writes that were asked for before are done; later ones are refused. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#draining;
    this.#client.close();
  }
}

/**
 * Undoes what `work` did when it rejects. Rejects itself when the whole transaction is lost: after some errors (disk full,
 * I/O, memory) SQLite may have rolled all of it back already, and what followed would run outside of it. Whether it has, the
 * savepoint tells: most errors undo their statement alone, and then nobody else's write is to fail for it.
 */
async function inSavepoint(
  tx: Transaction,
  work: (tx: Transaction) => Promise<unknown>,
): Promise<Outcome> {
  await tx.run(sql`savepoint one_write`);
  try {
    const value = await work(tx);
    await tx.run(sql`release one_write`);
    return { kind: 'done', value };
  } catch (error) {
    try {
      await tx.run(sql`rollback to one_write`);
      await tx.run(sql`release one_write`);
    } catch {
      throw error;
    }
    return { kind: 'undone', error };
  }
}
