import { z } from 'zod';
import { bytesSchema } from '../../protocol/bytes.ts';
import { rotationSchema } from '../../protocol/hello.ts';
import { agentIdSchema } from '../../protocol/ids.ts';
import {
  type Envelope,
  envelopeSchema,
  keyIdSchema,
  newSigningKey,
  type SigningKey,
} from '../../protocol/signing.ts';
import { signedSchema } from '../../protocol/trust/signed.ts';
import { AgentError } from '../error.ts';
import type { IdentityRecord, IdentityStore } from '../link/identity.ts';
import type { RootStore } from '../link/trust-store.ts';
import type { DocumentStore } from '../rollout/desired-gate.ts';
import type { StoredDesired } from '../rollout/desired-store.ts';

/** The one table: what a host must not forget, by name. */
const TABLE = 'host';
/** Each is two documents of at most a frame; whoever can make one can make many. */
const MAX_EVIDENCE = 16;

const keySchema = z.object({
  keyId: keyIdSchema,
  publicKey: bytesSchema(32, true),
  // By a function, since in an insecure context there is no such class.
  privateKey: z.custom<CryptoKey>((key) => key instanceof CryptoKey && !key.extractable),
});

const identitySchema = z.object({
  key: keySchema,
  agent: agentIdSchema.nullable(),
  controlKey: bytesSchema(32, true).nullable(),
  next: keySchema.nullable(),
  rotation: rotationSchema.nullable(),
});

const documentSchema = z.object({ envelope: envelopeSchema, releases: z.array(signedSchema) });

/**
 * What a host in a browser keeps: a database of IndexedDB, which belongs to the page's origin. It takes keys as they are,
 * so that a private key is never bytes that a script could read or send away.
 */
export class PageStore {
  readonly #database: IDBDatabase;
  readonly identity: IdentityStore;
  readonly root: RootStore;
  readonly documents: DocumentStore;

  private constructor(database: IDBDatabase) {
    this.#database = database;
    const what = (kept: string) => `${kept} in the database "${database.name}"`;
    this.identity = {
      newKey,
      read: async () => {
        const kept = await this.#read('identity');
        if (kept === undefined) return null;
        return parsed(identitySchema, kept, what('the identity'));
      },
      write: (record: IdentityRecord) => this.#write('identity', record),
    };
    this.root = {
      name: what('the root'),
      read: async () => {
        const kept = await this.#read('root');
        return kept === undefined ? null : parsed(z.string(), kept, what('the root'));
      },
      write: (text) => this.#write('root', text),
    };
    this.documents = {
      loadDesired: async () => {
        const kept = await this.#read('document');
        return kept === undefined ? null : parsed(documentSchema, kept, what('the document'));
      },
      saveDesired: (stored: StoredDesired) => this.#write('document', stored),
      keepEvidence: (generation, envelopes) => this.#keepEvidence(generation, envelopes),
    };
  }

  /** Opens the database of this name, or makes it. Throws `AgentError` 'store' where the browser keeps nothing. */
  static open(name: string): Promise<PageStore> {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open(name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore(TABLE);
      opening.onsuccess = () => {
        const database = opening.result;
        // Somebody deletes it, as our own errors advise: else that would wait for this page to be closed.
        database.onversionchange = () => database.close();
        resolve(new PageStore(database));
      };
      opening.onerror = () => reject(failed(name, opening.error));
      opening.onblocked = () => reject(failed(name, null));
    });
  }

  close(): void {
    this.#database.close();
  }

  #read(key: string): Promise<unknown> {
    return this.#run('readonly', (table) => table.get(key));
  }

  async #write(key: string, value: unknown): Promise<void> {
    await this.#run('readwrite', (table) => table.put(value, key));
  }

  async #keepEvidence(generation: number, envelopes: readonly Envelope[]): Promise<string> {
    const key = `evidence-${generation}`;
    const there = await this.#run('readonly', (table) =>
      table.getAllKeys(IDBKeyRange.bound('evidence-', 'evidence.')),
    );
    if (!there.includes(key) && there.length < MAX_EVIDENCE) await this.#write(key, envelopes);
    return `the database "${this.#database.name}"`;
  }

  /** Resolves once it is on disk, as far as a browser can know. */
  #run<T>(mode: IDBTransactionMode, ask: (table: IDBObjectStore) => IDBRequest<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      try {
        const transaction = this.#database.transaction(TABLE, mode, { durability: 'strict' });
        const asked = ask(transaction.objectStore(TABLE));
        transaction.oncomplete = () => resolve(asked.result);
        transaction.onabort = () => reject(failed(this.#database.name, transaction.error));
      } catch (error) {
        // It was closed, here or by the browser.
        reject(failed(this.#database.name, error as DOMException));
      }
    });
  }
}

async function newKey(): Promise<SigningKey> {
  try {
    return await newSigningKey(false);
  } catch (cause) {
    const told =
      'this browser makes no Ed25519 keys: Chrome 137, Firefox 129, Safari 17 or newer does';
    throw new AgentError('identity', told, { cause });
  }
}

function failed(name: string, cause: DOMException | null): AgentError {
  const told = `the database "${name}" of this browser can't be used: ${cause?.message ?? 'no reason given'}`;
  return new AgentError('store', told, { cause });
}

/** A script of the same origin can write here too. */
function parsed<T>(schema: z.ZodType<T>, kept: unknown, what: string): T {
  const read = schema.safeParse(kept);
  if (read.success) return read.data;
  const told = `${what} is not valid; delete that database and join again with a new token`;
  throw new AgentError('identity', told, { cause: read.error });
}
