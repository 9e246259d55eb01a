import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

type Scalar = number | bigint | string | boolean | null;

/** What a feature server was asked. */
export interface Question {
  readonly features: readonly string[];
  /** Values as text, because 64-bit keys are beyond JSON.parse. */
  readonly body: string;
  readonly keys: readonly string[];
  readonly headers: IncomingHttpHeaders;
}

export type Behaviour = (res: ServerResponse, answer: () => void) => void;

export interface TestFeatureServer {
  readonly url: string;
  readonly questions: Question[];
  /** How the next questions are answered; the default answers them. */
  behaviour: Behaviour;
  /** Resolves when this many questions have come. */
  asked(count: number): Promise<void>;
  /** Closes every connection that carries no question. */
  dropConnections(): void;
  stop(): Promise<void>;
}

export const answers: Behaviour = (_res, answer) => answer();

/**
 * A server that speaks Feast's protocol as Feast 0.67 was seen to: the keys among the features and first, features in
 * an order of its own, PRESENT beside nulls, NOT_FOUND for unknown keys, integers as plain digits.
 * `rows`: by key text, features by `view:feature`.
 */
export async function startFeatureServer(
  rows: Readonly<Record<string, Readonly<Record<string, Scalar>>>>,
  port = 0,
): Promise<TestFeatureServer> {
  const questions: Question[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const server = createServer((req, res) => {
    let body = '';
    req.on('data', (chunk: Buffer) => {
      body += chunk.toString('utf8');
    });
    req.on('end', () => {
      const question = readQuestion(body, req.headers);
      questions.push(question);
      for (const each of waiting) if (questions.length >= each.count) each.resolve();
      started.behaviour(res, () => answer(res, req.url ?? '', question, rows));
    });
  });
  await new Promise<void>((resolve) => {
    server.listen(port, '127.0.0.1', resolve);
  });
  const started: TestFeatureServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    questions,
    behaviour: answers,
    asked(count) {
      return new Promise((resolve) => {
        if (questions.length >= count) resolve();
        else waiting.push({ count, resolve });
      });
    },
    dropConnections: () => server.closeIdleConnections(),
    async stop() {
      const closed = new Promise((resolve) => {
        server.close(resolve);
      });
      server.closeAllConnections();
      await closed;
    },
  };
  return started;
}

function readQuestion(body: string, headers: IncomingHttpHeaders): Question {
  const { features, feature_service: service } = JSON.parse(body) as {
    features?: string[];
    feature_service?: string;
  };
  const [, columns = ''] = /"entities":\{(.*)\}\}$/.exec(body) ?? [];
  const [, first = ''] = /^"[^"]+":\[(.*?)\](,"|$)/.exec(columns) ?? [];
  const keys = first === '' ? [] : first.split(',');
  return { features: features ?? [`service ${service}`], body, keys, headers };
}

function answer(
  res: ServerResponse,
  path: string,
  { features, keys }: Question,
  rows: Readonly<Record<string, Readonly<Record<string, Scalar>>>>,
): void {
  if (path !== '/get-online-features') {
    res.writeHead(404).end('{"detail":"Not Found"}');
    return;
  }
  const results = [...features].reverse().map((feature) => {
    const values = keys.map((key) => rows[key]?.[feature] ?? null);
    const statuses = keys.map((key) => (key in rows ? 'PRESENT' : 'NOT_FOUND'));
    return result(values, statuses);
  });
  const names = [...features].reverse().map((feature) => feature.replace(':', '__'));
  const echoed = `{"values":[${keys.join()}],"statuses":[${keys.map(() => '"PRESENT"').join()}]}`;
  res.writeHead(200, { 'content-type': 'application/json' });
  res.end(
    `{"results":[${[echoed, ...results].join()}],"metadata":{"feature_names":${JSON.stringify(['key', ...names])}}}`,
  );
}

function result(values: readonly Scalar[], statuses: readonly string[]): string {
  const texts = values.map((value) =>
    typeof value === 'bigint' ? String(value) : JSON.stringify(value),
  );
  const times = statuses.map(() => '2026-11-24T03:56:03Z');
  return `{"values":[${texts.join()}],"statuses":${JSON.stringify(statuses)},"event_timestamps":${JSON.stringify(times)}}`;
}

/** Cuts a connection before anything was answered, as a worker does that is restarted. */
export const cutsOff: Behaviour = (res) => (res.socket as Socket).destroy();
