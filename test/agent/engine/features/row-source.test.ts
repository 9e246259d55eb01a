import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { FeatureServer } from '../../../../agent/engine/features/feature-server.ts';
import { MAX_CALL_ROWS, RowSource } from '../../../../agent/engine/features/row-source.ts';
import type { OipError } from '../../../../agent/engine/serve/oip-error.ts';
import { featureLookupSchema } from '../../../../protocol/feature-lookup.ts';
import {
  answers,
  cutsOff,
  startFeatureServer,
  type TestFeatureServer,
} from '../../../support/feature-server.ts';

const ROWS = Object.fromEntries(
  Array.from({ length: 600 }, (_, id) => [String(id), { 'v:a': id, 'v:b': `b${id}` }]),
);
const LOOKUP = {
  server: 'shop',
  entities: [{ name: 'id', datatype: 'INT64' }],
  columns: [
    { feature: 'v:a', tensor: 'x' },
    { feature: 'v:b', tensor: 'y' },
  ],
  timeoutMs: 1_000,
};
const keys = (...ids: number[]) => ids.map((id) => ({ text: String(id), literals: [String(id)] }));
const row = (id: number) => [id, `b${id}`];

let server: TestFeatureServer;
let client: FeatureServer;
const source = (more: object = {}) =>
  new RowSource(client, featureLookupSchema.parse({ ...LOOKUP, ...more }));

beforeEach(async () => {
  server = await startFeatureServer(ROWS);
  client = new FeatureServer('shop', new URL(server.url));
});
afterEach(async () => {
  client.close();
  await server.stop();
});

describe('rows of features', () => {
  it('are asked for together, those of one turn in one call, each key once', async () => {
    const rows = source();
    const [one, two] = await Promise.all([
      rows.find(keys(1, 2, 1), null),
      rows.find(keys(2, 3), null),
    ]);
    expect(one).toEqual([row(1), row(2), row(1)]);
    expect(two).toEqual([row(2), row(3)]);
    expect(server.questions.map((question) => question.keys)).toEqual([['1', '2', '3']]);
    expect(server.questions[0].body).toBe(
      '{"features":["v:a","v:b"],"full_feature_names":true,"entities":{"id":[1,2,3]}}',
    );
  });

  it('join a call that is on its way for the same key', async () => {
    const rows = source();
    let answer = () => {};
    server.behaviour = (_res, ready) => {
      answer = ready;
    };
    const first = rows.find(keys(7), null);
    await server.asked(1);
    const second = rows.find(keys(7), null);
    answer();
    expect([await first, await second]).toEqual([[row(7)], [row(7)]]);
    expect(server.questions).toHaveLength(1);
  });

  it('of a large request come in calls of a bounded size', async () => {
    const ids = Array.from({ length: 600 }, (_, id) => id);
    expect(await source().find(keys(...ids), null)).toEqual(ids.map(row));
    const sizes = server.questions.map((question) => question.keys.length);
    expect(sizes.sort((a, b) => b - a)).toEqual([
      MAX_CALL_ROWS,
      MAX_CALL_ROWS,
      600 - 2 * MAX_CALL_ROWS,
    ]);
  });

  it('are kept when a lookup says so, and not otherwise', async () => {
    const [kept, unkept] = [source({ cacheMs: 60_000 }), source()];
    for (const rows of [kept, kept, unkept, unkept]) {
      expect(await rows.find(keys(5), null)).toEqual([row(5)]);
    }
    expect(server.questions).toHaveLength(3);
  });

  it('may be asked for by the name of a service', async () => {
    await source({ featureService: 'activity' }).find(keys(1), null);
    expect(server.questions[0].body).toContain(
      '{"feature_service":"activity","full_feature_names"',
    );
  });

  it('carry the headers of their call', async () => {
    await source().find(keys(1), { traceparent: 'x' });
    expect(server.questions[0].headers.traceparent).toBe('x');
  });
});

describe('a feature server that', () => {
  const failure = async (rows = source()) => {
    const [found] = await rows.find(keys(1), null);
    const { code, message } = found as OipError;
    return `${code}: ${message}`;
  };

  it('does not answer in time is a deadline that was missed, and the next call is a new one', async () => {
    server.behaviour = () => {};
    const rows = source({ timeoutMs: 30 });
    expect(await failure(rows)).toBe(
      'deadline_exceeded: feature server "shop" gave no answer within 30 ms',
    );
    server.behaviour = answers;
    expect(await rows.find(keys(1), null)).toEqual([row(1)]);
  });

  it('sends the headers and then nothing is late, too', async () => {
    server.behaviour = (res) => res.writeHead(200).write('{');
    expect(await failure(source({ timeoutMs: 50 }))).toMatch(/^deadline_exceeded/);
  });

  it.each<[string, (body: string) => string, RegExp]>([
    ['writes garbage', () => '<html>', /^feature_server_failed: .*none: it is not JSON/],
    ['gives the wrong number of rows', (body) => body.replaceAll('[1]', '[1,2]'), /for 1 rows$/],
    ['leaves a feature out', (body) => body.replace('v__a', 'v__c'), /it has no "v__a"$/],
    ['says too much', () => ' '.repeat(5 * 1024 * 1024), /more than the 4194304 bytes/],
  ])('%s has failed', async (_what, change, told) => {
    server.behaviour = (res, answer) => {
      const end = res.end.bind(res);
      res.end = ((text: string) => end(change(text))) as typeof res.end;
      answer();
    };
    expect(await failure(source({ cacheMs: 60_000 }))).toMatch(told);
  });

  it('answers with an error is quoted, without its address', async () => {
    server.behaviour = (res) =>
      res.writeHead(500).end(`"'Feature nope not found in projection v'"`);
    expect(await failure()).toBe(
      `feature_server_failed: feature server "shop" answered 500: "'Feature nope not found in projection v'"`,
    );
  });

  it('redirects is not followed', async () => {
    server.behaviour = (res) => res.writeHead(307, { location: server.url }).end();
    expect(await failure()).toMatch(/answered 307/);
    expect(server.questions).toHaveLength(1);
  });

  it('is down has failed, and is asked again when it is back', async () => {
    const port = Number(new URL(server.url).port);
    const rows = source();
    expect(await rows.find(keys(1), null)).toEqual([row(1)]);
    await server.stop();
    expect(await failure(rows)).toBe(
      'feature_server_failed: feature server "shop" cannot be reached: ECONNREFUSED',
    );
    server = await startFeatureServer(ROWS, port);
    expect(await rows.find(keys(1), null)).toEqual([row(1)]);
  });

  it('restarts its worker is asked once more, on another connection', async () => {
    const rows = source();
    await rows.find(keys(1), null);
    server.behaviour = (res) => {
      server.behaviour = answers;
      cutsOff(res, () => {});
    };
    expect(await rows.find(keys(2), null)).toEqual([row(2)]);
    expect(server.questions).toHaveLength(3);
  });

  it('cuts every connection off has failed', async () => {
    server.behaviour = cutsOff;
    expect(await failure()).toBe(
      'feature_server_failed: feature server "shop" cannot be reached: ECONNRESET',
    );
    expect(server.questions).toHaveLength(1);
  });
});
