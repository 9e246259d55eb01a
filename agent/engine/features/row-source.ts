import type { FeatureLookup } from '../../../protocol/feature-lookup.ts';
import { OipError } from '../serve/oip-error.ts';
import type { FoundRow } from './assemble.ts';
import { readFeatureAnswer } from './feature-answer.ts';
import { type FeatureQuestion, featureQuestion } from './feature-question.ts';
import type { FeatureServer } from './feature-server.ts';
import { RowCache } from './row-cache.ts';
import type { RowKey } from './row-keys.ts';

/** Rows of one call. Their answer is parsed in one go: some milliseconds at most. */
export const MAX_CALL_ROWS = 256;

type Headers = Readonly<Record<string, string>>;
const NO_HEADERS: Headers = {};

/** Keys of one turn of the event loop, of one request or of many, that are asked for together. */
interface Batch {
  readonly wanted: { readonly key: RowKey; readonly resolve: (row: FoundRow) => void }[];
  readonly headers: Headers;
}

/**
 * The rows of one deployment's lookup: from the cache, from a call that is on its way for the same key, or from a call
 * that takes with it all keys wanted in this turn. A failure is a row's outcome, and is not kept.
 */
export class RowSource {
  readonly question: FeatureQuestion;
  readonly #server: FeatureServer;
  readonly #lookup: FeatureLookup;
  readonly #cache: RowCache;
  readonly #onTheirWay = new Map<string, Promise<FoundRow>>();
  #batch: Batch | null = null;

  constructor(server: FeatureServer, lookup: FeatureLookup) {
    this.question = featureQuestion(lookup);
    this.#server = server;
    this.#lookup = lookup;
    this.#cache = new RowCache(lookup.cacheEntries, lookup.cacheMs);
  }

  /** A row, or why there is none, for each key. Never rejects. `headers`: of a call that is made for these keys. */
  find(keys: readonly RowKey[], headers: Headers | null): Promise<FoundRow[]> {
    const nowMs = performance.now();
    return Promise.all(
      keys.map((key) => {
        return (
          this.#cache.get(key.text, nowMs) ??
          this.#onTheirWay.get(key.text) ??
          this.#fetch(key, headers ?? NO_HEADERS)
        );
      }),
    );
  }

  #fetch(key: RowKey, headers: Headers): Promise<FoundRow> {
    const found = new Promise<FoundRow>((resolve) => {
      if (this.#batch === null) {
        this.#batch = { wanted: [], headers };
        const begun = this.#batch;
        setImmediate(() => this.#ask(begun));
      }
      this.#batch.wanted.push({ key, resolve });
      if (this.#batch.wanted.length === MAX_CALL_ROWS) this.#ask(this.#batch);
    });
    this.#onTheirWay.set(key.text, found);
    return found;
  }

  #ask(batch: Batch): void {
    // A full one has been asked for before its turn ended.
    if (this.#batch !== batch) return;
    this.#batch = null;
    void this.#rows(batch).then((rows) => {
      const nowMs = performance.now();
      for (const [at, { key, resolve }] of batch.wanted.entries()) {
        const row = rows instanceof OipError ? rows : rows[at];
        this.#onTheirWay.delete(key.text);
        if (!(row instanceof OipError)) this.#cache.set(key.text, row, nowMs);
        resolve(row);
      }
    });
  }

  async #rows({ wanted, headers }: Batch): Promise<OipError | readonly FoundRow[]> {
    const body = this.question.body(wanted.map(({ key }) => key));
    const asked = {
      features: this.question.features,
      rows: wanted.length,
      maxAgeMs: this.#lookup.maxAgeMs ?? null,
    };
    try {
      const answer = await this.#server.ask(body, headers, this.#lookup.timeoutMs);
      return readFeatureAnswer(answer, asked, Date.now());
    } catch (error) {
      if (error instanceof OipError) return error;
      const why = error instanceof Error ? error.message : String(error);
      return this.#server.failed(`gave an answer that is none: ${why}`, error);
    }
  }
}
