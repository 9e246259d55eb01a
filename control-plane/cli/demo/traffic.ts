import { Agent, request } from 'node:http';
import type { FeatureRow } from './rows.ts';

/** What one answer says about who gave it. */
export interface Seen {
  readonly atMs: number;
  readonly version: number;
  readonly generation: number;
}

interface Target {
  readonly url: URL;
  /** Each time version or generation differs from the answer before. */
  readonly changes: Seen[];
  inFlight: number;
  sent: number;
  next: number;
}

interface InferAnswer {
  readonly model_version: string;
  readonly parameters: { readonly generation: number };
  readonly outputs: readonly { readonly name: string; readonly data: readonly number[] }[];
}

const RATE_PER_SECOND = 200;
const MAX_IN_FLIGHT = 4;
const TICK_MS = 5;
const TIMEOUT_MS = 10_000;
const KEPT_FAILURES = 5;

/**
 * A client that never stops: rows in a circle to each agent, at a steady rate, a few at a time. It
 * believes no answer: status, version, and that a version gives a row the same score each time (a
 * request answered half by one version and half by another would not).
 */
export class Traffic {
  answered = 0;
  failed = 0;
  readonly failures: string[] = [];
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });
  readonly #targets: readonly Target[];
  readonly #scores = new Map<string, number>();
  #rows: readonly FeatureRow[];
  #allowed: ReadonlySet<number>;
  #timer: NodeJS.Timeout | null = null;

  constructor(urls: readonly string[], rows: readonly FeatureRow[], allowed: readonly number[]) {
    // Each agent starts elsewhere in the circle, as different callers would.
    this.#targets = urls.map((url, at) => ({
      url: new URL(url),
      changes: [],
      inFlight: 0,
      sent: 0,
      next: Math.floor((at * rows.length) / urls.length),
    }));
    this.#rows = rows;
    this.#allowed = new Set(allowed);
  }

  start(): void {
    const beganMs = performance.now();
    this.#timer = setInterval(() => {
      const due = ((performance.now() - beganMs) * RATE_PER_SECOND) / 1000;
      for (const target of this.#targets) {
        // What could not be sent in time is left out: a late burst would be no steady traffic.
        target.sent = Math.max(target.sent, Math.floor(due) - MAX_IN_FLIGHT);
        while (target.sent < due && target.inFlight < MAX_IN_FLIGHT) this.#send(target);
      }
    }, TICK_MS);
  }

  /** Resolves when the last request is answered. */
  async stop(): Promise<void> {
    if (this.#timer !== null) clearInterval(this.#timer);
    while (this.#targets.some((target) => target.inFlight > 0)) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    }
    this.#agent.destroy();
  }

  /** Versions that may answer from now on; a request that is under way keeps what held at its start. */
  allow(versions: readonly number[]): void {
    this.#allowed = new Set(versions);
  }

  use(rows: readonly FeatureRow[]): void {
    this.#rows = rows;
  }

  /** The agent's first answer that fits, if there was one. */
  firstSeen(at: number, fits: (seen: Seen) => boolean): Seen | undefined {
    return this.#targets[at]?.changes.find(fits);
  }

  #send(target: Target): void {
    const index = target.next % this.#rows.length;
    const row = this.#rows[index];
    if (row === undefined) return;
    target.sent += 1;
    target.next += 1;
    target.inFlight += 1;
    const allowed = this.#allowed;
    post(this.#agent, target.url, row.request).then(
      ({ status, body }) => {
        target.inFlight -= 1;
        const problem = this.#check(target, row, allowed, status, body);
        if (problem === null) this.answered += 1;
        else this.#fail(problem);
      },
      (error: Error) => {
        target.inFlight -= 1;
        this.#fail(error.message);
      },
    );
  }

  #check(
    target: Target,
    row: FeatureRow,
    allowed: ReadonlySet<number>,
    status: number,
    body: string,
  ): string | null {
    if (status !== 200) return `status ${status}: ${body.slice(0, 200)}`;
    const answer = JSON.parse(body) as InferAnswer;
    const version = Number(answer.model_version);
    const { generation } = answer.parameters;
    const last = target.changes.at(-1);
    if (last?.version !== version || last.generation !== generation) {
      target.changes.push({ atMs: Date.now(), version, generation });
    }
    if (!allowed.has(version) && !this.#allowed.has(version)) {
      return `answered by version ${version}, which should be gone (generation ${generation})`;
    }
    const score = answer.outputs.find((output) => output.name === 'probabilities')?.data[1];
    const key = `${version} ${row.values.join()}`;
    const before = this.#scores.get(key);
    if (score === undefined) return 'the answer holds no score';
    if (before !== undefined && before !== score) {
      return `version ${version} gave one row ${before} and ${score}`;
    }
    this.#scores.set(key, score);
    return null;
  }

  #fail(problem: string): void {
    this.failed += 1;
    if (this.failures.length < KEPT_FAILURES) this.failures.push(problem);
  }
}

function post(agent: Agent, url: URL, body: Buffer): Promise<{ status: number; body: string }> {
  const headers = { 'content-type': 'application/json', 'content-length': body.length };
  return new Promise((resolve, reject) => {
    const sent = request(
      url,
      { method: 'POST', agent, headers, timeout: TIMEOUT_MS },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8');
          resolve({ status: response.statusCode ?? 0, body: text });
        });
      },
    );
    sent.on('error', reject);
    sent.on('timeout', () => sent.destroy(new Error(`no answer in ${TIMEOUT_MS} ms`)));
    sent.end(body);
  });
}
