import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseRange } from '../../../control-plane/http/byte-range.ts';
import { MIN_CHUNKED_BYTES, parseChunkIndex } from '../../../protocol/chunk-index.ts';
import { ControlApp, digestOf } from '../../support/control-app.ts';

const BYTES = Uint8Array.from({ length: 1000 }, (_, at) => at % 251);
const DIGEST = digestOf(BYTES);
const PATH = `/api/v1/artifacts/${DIGEST}`;

let app: ControlApp;

beforeAll(async () => {
  app = await ControlApp.open();
});

afterAll(() => app.close());

const put = (path: string, body: Uint8Array, range?: string) =>
  app.ask('PUT', path, { body, headers: range === undefined ? {} : { 'content-range': range } });

test('an upload in parts: HEAD tells where to go on', async () => {
  expect((await app.ask('HEAD', PATH)).headers.get('upload-offset')).toBe('0');
  const first = await put(PATH, BYTES.subarray(0, 600), 'bytes 0-599/1000');
  expect(first.status).toBe(202);
  expect(await first.json()).toEqual({ offset: 600 });
  const head = await app.ask('HEAD', PATH);
  expect([head.status, head.headers.get('upload-offset')]).toEqual([404, '600']);
  const gap = await put(PATH, BYTES.subarray(700), 'bytes 700-999/1000');
  expect(gap.status).toBe(416);
  expect(((await gap.json()) as { detail: string }).detail).toContain('continue at 600');
  expect((await put(PATH, BYTES.subarray(600), 'bytes 600-999/1000')).status).toBe(201);
  expect((await put(PATH, BYTES)).status).toBe(200);
});

test('a file comes back whole, in part, or not at all when the client has it', async () => {
  const whole = await app.ask('GET', PATH);
  expect(new Uint8Array(await whole.arrayBuffer())).toEqual(BYTES);
  const etag = whole.headers.get('etag') ?? '';
  const part = await app.ask('GET', PATH, { headers: { range: 'bytes=990-' } });
  expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 990-999/1000']);
  expect(new Uint8Array(await part.arrayBuffer())).toEqual(BYTES.subarray(990));
  const known = await app.ask('GET', PATH, { headers: { 'if-none-match': etag } });
  expect(known.status).toBe(304);
  const beyond = await app.ask('GET', PATH, { headers: { range: 'bytes=1000-' } });
  expect([beyond.status, beyond.headers.get('content-range')]).toEqual([416, 'bytes */1000']);
  const head = await app.ask('HEAD', PATH);
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '1000']);
});

test.each([
  [undefined, null],
  ['bytes=0-0', { first: 0, last: 0 }],
  ['bytes=5-2000', { first: 5, last: 9 }],
  ['bytes=-3', { first: 7, last: 9 }],
  ['bytes=-30', { first: 0, last: 9 }],
  ['bytes=4-2', null],
  ['bytes=-', null],
  ['bytes=0-1,4-5', null],
  ['rows=0-1', null],
])('range %s of ten bytes', (header, wanted) => {
  expect(parseRange(header, 10)).toEqual(wanted);
});

test.each(['bytes=10-', 'bytes=-0'])('range %s of ten bytes is refused', (header) => {
  expect(() => parseRange(header, 10)).toThrow('10 bytes');
});

test('bytes of another digest are refused and leave nothing', async () => {
  const path = `/api/v1/artifacts/${digestOf(new Uint8Array([1]))}`;
  const response = await put(path, new Uint8Array([2]));
  expect(response.status).toBe(422);
  expect(await response.json()).toMatchObject({ kind: 'digest-mismatch' });
  expect((await app.ask('GET', path)).status).toBe(404);
});

test('2 GiB, announced, is refused before a byte is stored', async () => {
  const path = `/api/v1/artifacts/${digestOf(new Uint8Array([3]))}`;
  const response = await put(path, new Uint8Array([3]), 'bytes 0-0/2147483648');
  expect(response.status).toBe(413);
  expect(await response.json()).toMatchObject({ kind: 'too-large' });
});

test.each(['bytes 5-3/10', 'bytes 0-10/10', 'bytes 0-1/*', 'nonsense', 'bytes 0-5/100'])(
  'Content-Range %s does not fit',
  async (range) => {
    const path = `/api/v1/artifacts/${digestOf(new Uint8Array([4]))}`;
    const headers = { 'content-range': range, 'content-length': '1' };
    const response = await app.ask('PUT', path, { body: new Uint8Array([4]), headers });
    expect(response.status).toBe(416);
  },
);

test.each(['sha256:..', '..%2f..%2fsigning-key.json', `sha256:${'F'.repeat(64)}`, 'driftline.db'])(
  'no path but a digest: %s',
  async (name) => {
    const response = await app.ask('GET', `/api/v1/artifacts/${name}`);
    expect(response.status).toBe(400);
  },
);

test('CHUNK-3: the chunks of a file are told, of one that is not here, not; and made once', async () => {
  const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => (at * at) % 251);
  const digest = await app.upload(bytes);
  const path = `/api/v1/artifacts/${digest}/chunks`;
  // Too short to be cut when it is pushed: the first who asks has it made, the others wait for it.
  expect(await app.blobs.indexSize(digest)).toBeNull();
  const answers = await Promise.all([1, 2, 3].map(() => app.ask('GET', path)));
  for (const answer of answers) {
    expect([answer.status, answer.headers.get('content-type')]).toEqual([200, 'application/json']);
    const text = new Uint8Array(await answer.arrayBuffer());
    expect(text.length).toBe(Number(answer.headers.get('content-length')));
    const { chunks } = parseChunkIndex(text, digest, bytes.length);
    let at = 0;
    for (const chunk of chunks) {
      expect(digestOf(bytes.subarray(at, at + chunk.sizeBytes))).toBe(chunk.digest);
      at += chunk.sizeBytes;
    }
    expect(at).toBe(bytes.length);
  }
  expect((await app.ask('HEAD', path)).status).toBe(200);
  const missing = `/api/v1/artifacts/${digestOf(new Uint8Array([9]))}/chunks`;
  expect((await app.ask('GET', missing)).status).toBe(404);
  const large = await app.upload(new Uint8Array(MIN_CHUNKED_BYTES));
  expect(await app.blobs.indexSize(large)).toBeGreaterThan(0);
});
