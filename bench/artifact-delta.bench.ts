import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { ArtifactStore } from '../agent/store/artifacts.ts';
import { realDisk } from '../agent/store/disk.ts';
import { fetchWhole } from '../agent/store/fetch.ts';
import type { Source } from '../agent/store/source.ts';
import { indexChunks } from '../protocol/chunk-index.ts';
import { Chunker } from '../protocol/chunking.ts';
import type { Digest } from '../protocol/ids.ts';
import { ControlApp, jsonBytes } from '../test/support/control-app.ts';
import { seeded } from '../test/support/random-models.ts';
import { QUICK } from './support/bench.ts';
import { atLeast, atMost, machineLine, quartiles, table, verdict } from './support/report.ts';

const QUESTION =
  'How much of a new version does a host download that has the version before, and what does finding out cost?';

const MIB = 2 ** 20;
const WEIGHTS = 5_000_000;
const CHANGED = 0.02;
const ROUNDS = QUICK ? 1 : 5;

const random = seeded(17);
const never = new AbortController().signal;

/** About what a layer holds: float32, normal, small. */
function weights(count: number): Float32Array {
  return Float32Array.from({ length: count }, () => {
    const spread = Math.sqrt(-2 * Math.log(1 - random()));
    return 0.02 * spread * Math.cos(2 * Math.PI * random());
  });
}

/** `base` with 2% of its weights trained further, in so many stretches of the same length. */
function trained(base: Float32Array, stretches: number): Uint8Array {
  const next = Float32Array.from(base);
  const length = Math.round((CHANGED * WEIGHTS) / stretches);
  for (let stretch = 0; stretch < stretches; stretch += 1) {
    const from = Math.floor((WEIGHTS / stretches) * (stretch + random() * (1 - CHANGED)));
    next.set(weights(length), from);
  }
  return new Uint8Array(next.buffer);
}

/** A control plane on a socket, and how much it has written there. */
class Served {
  readonly app: ControlApp;
  readonly #server: Server;
  readonly #sockets: Socket[] = [];
  requests = 0;

  private constructor(app: ControlApp, server: Server) {
    this.app = app;
    this.#server = server;
    server.on('connection', (socket) => this.#sockets.push(socket));
    server.on('request', () => {
      this.requests += 1;
    });
  }

  static async start(): Promise<Served> {
    const app = await ControlApp.open();
    const server = createAdaptorServer({ fetch: app.api.hono.fetch, createServer }) as Server;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Served(app, server);
  }

  get writtenBytes(): number {
    return this.#sockets.reduce((sum, socket) => sum + socket.bytesWritten, 0);
  }

  get source(): Source {
    const { port } = this.#server.address() as AddressInfo;
    return { url: `http://127.0.0.1:${port}`, token: this.app.tokens.get('admin') ?? '' };
  }

  async push(model: Uint8Array): Promise<{ manifest: Digest; model: Digest }> {
    const digest = await this.app.upload(model);
    const file = { role: 'model', digest, sizeBytes: model.length };
    const tensor = (name: string) => ({ name, datatype: 'FP32', shape: [-1, 1] });
    const manifest = {
      ...{ schema: 1, model: 'bench', task: 'other', files: [file] },
      ...{ inputs: [tensor('in')], outputs: [tensor('out')], features: [], groups: [] },
      prediction: null,
    };
    return { manifest: await this.app.upload(jsonBytes(manifest)), model: digest };
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await this.app.close();
  }
}

interface Found {
  readonly bytes: number;
  readonly requests: number;
  readonly ms: number;
}

async function measured(served: Served, work: () => Promise<unknown>): Promise<Found> {
  const [bytes, requests, start] = [served.writtenBytes, served.requests, performance.now()];
  await work();
  const ms = performance.now() - start;
  return { bytes: served.writtenBytes - bytes, requests: served.requests - requests, ms };
}

async function deltas(served: Served, folder: string): Promise<void> {
  const base = weights(WEIGHTS);
  const old = await served.push(new Uint8Array(base.buffer));
  const inFront = Buffer.concat([new Uint8Array(1000), new Uint8Array(base.buffer)]);
  const cases: [string, Uint8Array, number][] = [
    ['1 layer trained further: 2% in one stretch', trained(base, 1), 5],
    ['10 layers: 2% in ten stretches', trained(base, 10), 15],
    ['100 layers: 2% in a hundred stretches', trained(base, 100), 70],
    ['every 50th weight or so, one by one', trained(base, CHANGED * WEIGHTS), 101],
    ['the same weights behind 1,000 other bytes', inFront, 5],
  ];
  const lines = [['new version', 'MB', 'downloaded, MB', '%', 'requests', 'ms', 'ms of whole']];
  const verdicts: string[] = [];
  for (const [at, [name, bytes, goal]] of cases.entries()) {
    const next = await served.push(bytes);
    const [chunked, whole]: [Found[], Found[]] = [[], []];
    for (let round = 0; round < ROUNDS; round += 1) {
      const store = new ArtifactStore(join(folder, `${at}-${round}`));
      await store.ensure(old.manifest, served.source, never);
      const ensure = () => store.ensure(next.manifest, served.source, never);
      chunked.push(await measured(served, ensure));
      const partPath = join(folder, `${at}-${round}.part`);
      const { source } = served;
      const size = bytes.length;
      const file = { disk: realDisk, source, digest: next.model, sizeBytes: size, maxBytes: size };
      whole.push(await measured(served, () => fetchWhole({ ...file, partPath, signal: never })));
    }
    const percent = (100 * chunked[0].bytes) / whole[0].bytes;
    const ms = (found: Found[]) => quartiles(found.map((each) => each.ms)).median.toFixed(0);
    const mb = (value: number) => (value / 1e6).toFixed(2);
    lines.push([
      ...[name, mb(bytes.length), mb(chunked[0].bytes), percent.toFixed(1)],
      ...[String(chunked[0].requests), ms(chunked), ms(whole)],
    ]);
    verdicts.push(verdict(`% downloaded, ${name}`, atMost(goal), percent));
  }
  process.stdout.write(`${table(lines)}\n${verdicts.join('\n')}\n\n`);
}

async function cutting(): Promise<void> {
  const bytes = new Uint8Array(weights(WEIGHTS).buffer);
  async function* pieces() {
    for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
  }
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
  const rates: number[][] = [[], [], []];
  for (let round = -2; round < 2 * ROUNDS; round += 1) {
    const works = [
      async () => void new Chunker().push(bytes),
      () => indexChunks(digest, pieces(), () => createHash('sha256')),
      async () => void createHash('sha256').update(bytes).digest('hex'),
    ];
    for (const [at, work] of works.entries()) {
      const start = performance.now();
      await work();
      const seconds = (performance.now() - start) / 1000;
      if (round >= 0) rates[at].push(bytes.length / MIB / seconds);
    }
  }
  const [cut, indexed, hashed] = rates.map(quartiles);
  const { chunks } = await indexChunks(digest, pieces(), () => createHash('sha256'));
  const average = bytes.length / chunks.length / 1024;
  process.stdout.write(`${chunks.length} chunks, on average ${average.toFixed(1)} KiB\n`);
  process.stdout.write(`SHA-256 of the whole, MiB/s: ${hashed.median.toFixed(0)}\n`);
  process.stdout.write(`${verdict('cutting, MiB/s', atLeast(200), cut)}\n`);
  process.stdout.write(`${verdict('cutting and hashing, MiB/s', atLeast(100), indexed)}\n`);
}

process.stdout.write(`${QUESTION}\n${machineLine({ server: null, load: null })}\n\n`);
const folder = await mkdtemp(join(tmpdir(), 'driftline-bench-'));
const served = await Served.start();
try {
  await deltas(served, folder);
  await cutting();
} finally {
  await served.stop();
  await rm(folder, { recursive: true, force: true });
}
