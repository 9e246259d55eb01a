import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Refusal } from '../../../agent/error.ts';
import { digestOfFile } from '../../../agent/store/digest.ts';
import { realDisk } from '../../../agent/store/disk.ts';
import { type Download, fetchWhole } from '../../../agent/store/fetch.ts';
import { MIN_RETRY_AFTER_MS } from '../../../agent/store/retry-after.ts';

const content = randomBytes(300_000);
const digest = `sha256:${createHash('sha256').update(content).digest('hex')}`;
const never = new AbortController().signal;

let folder: string;
let part: string;
let answer: (req: IncomingMessage, res: ServerResponse, from: number) => void;
let asked: { url: string | undefined; range: string | undefined; token: string | undefined }[];
const server = createServer((req, res) => {
  const { range, authorization } = req.headers;
  asked.push({ url: req.url, range, token: authorization });
  answer(req, res, Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0));
});
let source: { url: string; token: string };

const rangeFrom = (from: number) => ({
  'content-range': `bytes ${from}-${content.length - 1}/${content.length}`,
});
const partial: typeof answer = (_, res, from) => {
  res.writeHead(206, rangeFrom(from)).end(content.subarray(from));
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'fetch-'));
  part = join(folder, 'file.part');
  asked = [];
  answer = partial;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  source = { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: 'dld_x' };
});

afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true });
});

const download = (changes: Partial<Download> = {}): Download => ({
  disk: realDisk,
  source,
  digest,
  sizeBytes: content.length,
  maxBytes: content.length,
  partPath: part,
  signal: never,
  ...changes,
});

async function refusal(changes: Partial<Download> = {}): Promise<Refusal> {
  try {
    await fetchWhole(download(changes));
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
  throw new Error('the download was accepted');
}

const sizeOfPart = () =>
  stat(part).then(
    ({ size }) => size,
    () => null,
  );

describe('a download', () => {
  it('ARTIFACT-1: is the bytes of its digest, asked for by digest with the token', async () => {
    await fetchWhole(download());
    expect((await readFile(part)).equals(content)).toBe(true);
    expect(await digestOfFile(realDisk, part)).toBe(digest);
    expect(asked).toEqual([
      { url: `/api/v1/artifacts/${digest}`, range: 'bytes=0-', token: 'Bearer dld_x' },
    ]);
  });

  it('ARTIFACT-1: of other bytes is refused as corrupt, and its part removed', async () => {
    const flipped = Buffer.from(content);
    flipped[12345] ^= 1;
    answer = (_, res) => res.writeHead(200).end(flipped);
    const { code, message } = await refusal();
    expect(code).toBe('artifact-corrupt');
    expect(message).toMatch(/but they hash to sha256:/);
    expect(await sizeOfPart()).toBeNull();
  });

  it('ARTIFACT-2: that is cut keeps its part, and goes on where it stopped', async () => {
    answer = (_, res) => {
      res.writeHead(206, { ...rangeFrom(0), 'content-length': content.length });
      res.write(content.subarray(0, 200_000), () => setImmediate(() => res.destroy()));
    };
    expect((await refusal()).code).toBe('artifact-unavailable');
    const kept = await sizeOfPart();
    expect(kept).toBeGreaterThan(0);
    answer = partial;
    await fetchWhole(download());
    expect(asked.at(-1)?.range).toBe(`bytes=${kept}-`);
    expect((await readFile(part)).equals(content)).toBe(true);
  });

  it('ARTIFACT-2: starts over with a server that ignores ranges', async () => {
    await writeFile(part, Buffer.alloc(1000, 7));
    answer = (_, res) => res.writeHead(200).end(content);
    await fetchWhole(download());
    expect((await readFile(part)).equals(content)).toBe(true);
  });

  it('ARTIFACT-2: asks for nothing when the part is whole already', async () => {
    await writeFile(part, content);
    await fetchWhole(download());
    expect(asked).toEqual([]);
  });

  it('ARTIFACT-2: starts over when the part is longer than the file, or rotten', async () => {
    await writeFile(part, Buffer.concat([content, content]));
    await fetchWhole(download());
    expect(asked.at(-1)?.range).toBe('bytes=0-');
    await writeFile(part, Buffer.alloc(1000, 7));
    await fetchWhole(download());
    expect(asked.map(({ range }) => range)).toEqual(['bytes=0-', 'bytes=1000-', 'bytes=0-']);
    expect((await readFile(part)).equals(content)).toBe(true);
  });

  it('ARTIFACT-3: longer than its manifest states is refused without reading on', async () => {
    const { code, message } = await refusal({ sizeBytes: 1000 });
    expect(code).toBe('artifact-corrupt');
    expect(message).toContain('longer than the 1000 bytes');
    expect(await sizeOfPart()).toBeNull();
  });

  it('ARTIFACT-3: shorter than its manifest states is unavailable, not corrupt', async () => {
    answer = (_, res) => res.writeHead(206, rangeFrom(0)).end(content.subarray(0, 1000));
    expect((await refusal()).message).toContain('ended after 1000 of 300000 bytes');
    expect(await sizeOfPart()).toBe(1000);
  });

  it('ARTIFACT-3: of a size that nobody states is read to the bound, and begun anew', async () => {
    await writeFile(part, content.subarray(0, 10));
    await fetchWhole(download({ sizeBytes: null }));
    expect((await readFile(part)).equals(content)).toBe(true);
    const { code, message } = await refusal({ sizeBytes: null, maxBytes: content.length - 1 });
    expect([code, message]).toEqual(['artifact-corrupt', expect.stringContaining('299999 bytes')]);
  });

  it.each([
    [undefined, 'no Content-Range'],
    ['bytes 0-299999/300000', '"bytes 0-299999/300000"'],
    ['bytes 1000-299999/299999', '"bytes 1000-299999/299999"'],
    ['bytes 1000-200000/300000', '"bytes 1000-200000/300000"'],
  ])(
    'ARTIFACT-5: an answer from another place than was asked for is refused: %s',
    async (said, told) => {
      await writeFile(part, content.subarray(0, 1000));
      answer = (_, res, from) => {
        res.writeHead(206, said === undefined ? {} : { 'content-range': said });
        res.end(content.subarray(from));
      };
      const { code, message } = await refusal();
      expect(code).toBe('artifact-unavailable');
      expect(message).toContain(`was asked for bytes 1000-, and answered with ${told}`);
      expect(await sizeOfPart()).toBe(1000);
    },
  );

  it('ARTIFACT-6: waits as long as a busy control plane asks for, and goes on', async () => {
    await writeFile(part, content.subarray(0, 1000));
    const begun = performance.now();
    answer = (_, res, from) => {
      if (asked.length > 2) partial(_, res, from);
      else res.writeHead(503, { 'retry-after': '0' }).end();
    };
    await fetchWhole(download());
    expect((await readFile(part)).equals(content)).toBe(true);
    expect(asked.map(({ range }) => range)).toEqual(new Array(3).fill('bytes=1000-'));
    expect(performance.now() - begun).toBeGreaterThan(2 * MIN_RETRY_AFTER_MS - 10);
  });

  it('ARTIFACT-6: is given up at once while it waits, when nobody wants it any more', async () => {
    const abort = new AbortController();
    answer = (_, res) => {
      res.writeHead(503, { 'retry-after': '600' }).end();
      setImmediate(() => abort.abort());
    };
    expect((await refusal({ signal: abort.signal })).code).toBe('artifact-unavailable');
  });

  it.each([401, 404, 416, 503])(
    'that is answered %i is unavailable and says so',
    async (status) => {
      answer = (_, res) => res.writeHead(status).end('no');
      const { code, message } = await refusal();
      expect(code).toBe('artifact-unavailable');
      expect(message).toContain(`answered ${status}`);
    },
  );

  it('that nobody answers is unavailable', async () => {
    source = { url: 'http://127.0.0.1:9', token: '' };
    expect((await refusal()).code).toBe('artifact-unavailable');
  });

  it('stops when what wanted it is superseded', async () => {
    const abort = new AbortController();
    answer = (_, res) => {
      res.writeHead(206, rangeFrom(0));
      res.write(content.subarray(0, 1000), () => abort.abort());
    };
    expect((await refusal({ signal: abort.signal })).code).toBe('artifact-unavailable');
  });
});
