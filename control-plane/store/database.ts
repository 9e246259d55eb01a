import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { type Client, createClient } from '@libsql/client';
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

/**
 * The database: any number of readers, one writer at a time.
 *
 * The queue is not for speed. libSQL's file driver blocks the thread while it waits for a lock, so a
 * second transaction of this process would wait for the first on the thread that has to finish it.
 */
export class Store {
  readonly read: Database;
  readonly #client: Client;
  #tail: Promise<unknown> = Promise.resolve();
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
   * Runs `work` in one transaction: committed when it resolves, undone when it rejects. Calls queue.
   * `work` must not call `write` itself: it would wait for its own end.
   */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    const result = this.#tail.then(() => this.read.transaction(work));
    this.#tail = result.then(
      () => this.#committed(),
      () => undefined,
    );
    return result;
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
  async close(): Promise<void> {
    await this.#tail;
    this.#client.close();
  }
}
