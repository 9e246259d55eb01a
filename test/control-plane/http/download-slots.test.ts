import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, get, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAdaptorServer } from '@hono/node-server';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { realDisk } from '../../../agent/store/disk.ts';
import { fetchWhole } from '../../../agent/store/fetch.ts';
import {
  DownloadSlots,
  LINGER_MS,
  MAX_DOWNLOADS_PER_CALLER,
  MAX_SPREAD_S,
  MIN_SPREAD_S,
  type Slot,
} from '../../../control-plane/http/download-slots.ts';
import { slottedBody } from '../../../control-plane/http/slotted-body.ts';
import { seededUniform } from '../../protocol/statistics/seeded.ts';
import { ControlApp, exampleManifest, exampleModel, jsonBytes } from '../../support/control-app.ts';
import { LinkAgent } from '../../support/link-agent.ts';

interface Made {
  readonly token: string;
}

/** More than the buffers between two ends of a socket hold: with a doc_string, field 6 of a model, of 64 MiB. */
async function largeModel(): Promise<Uint8Array> {
  const field = Buffer.from([0x32, 0x80, 0x80, 0x80, 0x20]);
  return Buffer.concat([await exampleModel('v1'), field, Buffer.alloc(64 * 2 ** 20, 0x20)]);
}

const waitOf = (slot: Slot) => (slot.kind === 'busy' ? slot.retryAfterS : null);

describe('DOWNLOAD-2: slots', () => {
  it('are so many, so many of one caller, and are given back once', () => {
    const slots = new DownloadSlots(MAX_DOWNLOADS_PER_CALLER + 1, () => 0);
    const own = Array.from({ length: MAX_DOWNLOADS_PER_CALLER }, () => slots.take('agent:a', 0));
    expect(own.map(waitOf)).toEqual(own.map(() => null));
    expect(waitOf(slots.take('agent:a', 0))).toBe(1);
    expect(slots.take('agent:b', 0).kind).toBe('taken');
    expect(slots.take('agent:c', 0).kind).toBe('busy');
    const [first] = own;
    if (first.kind === 'taken') for (let turn = 0; turn < 3; turn += 1) first.release(0);
    expect([slots.active, slots.refused]).toEqual([MAX_DOWNLOADS_PER_CALLER, 2]);
    expect(slots.take('agent:c', 0).kind).toBe('taken');
    expect(slots.take('agent:d', 0).kind).toBe('busy');
  });

  it('are kept for a moment for whoever had them', () => {
    const slots = new DownloadSlots(1, () => 0);
    const give = (slot: Slot, nowMs: number) => slot.kind === 'taken' && slot.release(nowMs);
    give(slots.take('agent:a', 0), 100);
    expect(slots.active).toBe(0);
    expect(slots.take('agent:b', 100 + LINGER_MS - 1).kind).toBe('busy');
    const again = slots.take('agent:a', 100 + LINGER_MS - 1);
    expect(again.kind).toBe('taken');
    give(again, 1000);
    expect(slots.take('agent:b', 1000 + LINGER_MS).kind).toBe('taken');
    expect(slots.take('agent:a', 1000 + LINGER_MS).kind).toBe('busy');
  });

  it('that are taken send hosts away for longer, the more there are', () => {
    const slots = new DownloadSlots(0, () => 0.999);
    const waits = (count: number, nowMs: number) =>
      Array.from({ length: count }, () => waitOf(slots.take('x', nowMs)) ?? 0);
    expect(Math.max(...waits(3, 10_000))).toBe(MIN_SPREAD_S);
    const wave = waits(1000, 11_000);
    expect([wave[99], wave[999]]).toEqual([100, MAX_SPREAD_S]);
    // The second after it remembers, the one after that does not.
    expect(waits(1, 12_000)).toEqual([MAX_SPREAD_S]);
    expect(waits(1, 14_000)).toEqual([MIN_SPREAD_S]);
  });

  it('let a wave of 2,000 hosts through, at refusals that a control plane bears', () => {
    const random = seededUniform(5);
    const slots = new DownloadSlots(64, random);
    const comeAtMs = Array.from({ length: 2000 }, () => 1000 * random());
    const endsAtMs: { at: number; release: (nowMs: number) => void }[] = [];
    let [done, seconds] = [0, 0];
    const refusedBy: number[] = [];
    for (let now = 0; done < 2000; now += 10) {
      for (const end of endsAtMs.filter(({ at }) => at <= now)) end.release(now);
      for (let at = endsAtMs.length - 1; at >= 0; at -= 1) {
        if (endsAtMs[at].at <= now) endsAtMs.splice(at, 1);
      }
      for (const [host, at] of comeAtMs.entries()) {
        if (at > now) continue;
        const slot = slots.take(`agent:${host}`, now);
        comeAtMs[host] = slot.kind === 'busy' ? now + 1000 * slot.retryAfterS : Number.MAX_VALUE;
        if (slot.kind === 'busy') continue;
        done += 1;
        endsAtMs.push({ at: now + 1000, release: slot.release });
      }
      if (now % 1000 === 0) refusedBy.push(slots.refused);
      seconds = now / 1000;
    }
    // 2,000 seconds of sending over 64 slots are 31 s at best.
    expect(seconds).toBeLessThan(400);
    const eachSecond = refusedBy.slice(1).map((refused, at) => refused - refusedBy[at]);
    expect(Math.max(...eachSecond.slice(2))).toBeLessThan(150);
  });
});

describe('DOWNLOAD-2: downloads from a control plane that is busy', () => {
  let app: ControlApp;
  let server: Server;
  let agent: LinkAgent;
  let path: string;
  let sizeBytes: number;

  beforeAll(async () => {
    app = await ControlApp.open([], 2);
    server = createAdaptorServer({ fetch: app.api.hono.fetch, createServer }) as Server;
    server.on('upgrade', (request, socket, head) => app.hub.handleUpgrade(request, socket, head));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const model = await largeModel();
    sizeBytes = model.length;
    path = `/api/v1/artifacts/${await app.upload(model)}`;
    const manifest = await app.upload(jsonBytes(await exampleManifest(model)));
    await app.ask('POST', '/api/v1/models/mortgage/versions', { json: { manifest } });
    const json = { model: 'mortgage', version: 1 };
    await app.ask('PUT', '/api/v1/deployments/loans', { json });
    const made = await app.ask('POST', '/api/v1/join-tokens', { json: {} });
    agent = await LinkAgent.create();
    const { port } = server.address() as AddressInfo;
    await agent.join(`ws://127.0.0.1:${port}/link`, ((await made.json()) as Made).token);
  });
  afterAll(async () => {
    await agent.cut();
    server.closeAllConnections();
    server.close();
    await app.close();
  });

  async function ask(what = path, token = agent.downloadToken): Promise<IncomingMessage> {
    const headers = { authorization: `Bearer ${token}` };
    const { port } = server.address() as AddressInfo;
    const request = get({ host: '127.0.0.1', port, path: what, headers, agent: false });
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.on('error', () => undefined);
    return response;
  }

  /** Resolves once a figure of `/metrics` has this value. */
  async function figure(name: string, value: number): Promise<void> {
    let text = '';
    for (let look = 0; look < 500; look += 1) {
      text = await (await app.ask('GET', '/metrics')).text();
      if (text.includes(`${name} ${value}\n`)) return;
      await new Promise(setImmediate);
    }
    throw new Error(`not ${value}: ${new RegExp(`${name} \\d+`).exec(text)}`);
  }
  const active = (count: number) => figure('driftline_downloads_active', count);
  const refused = (count: number) => figure('driftline_downloads_refused_total', count);

  it('are told when to come back, and have the slot of whoever hangs up', async () => {
    const [first, second] = [await ask(), await ask()];
    const third = await ask();
    expect([first.statusCode, second.statusCode, third.statusCode]).toEqual([200, 200, 503]);
    expect(Number(third.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect((await ask(`${path}/chunks`)).statusCode).toBe(503);
    // A person gets one: who looks after the wave must not wait for its end.
    const person = await ask(path, app.tokens.get('viewer'));
    expect(person.statusCode).toBe(200);
    person.destroy();
    await active(2);
    await refused(2);
    first.destroy();
    await active(1);
    const fourth = await ask();
    expect(fourth.statusCode).toBe(200);
    second.destroy();
    fourth.destroy();
    await active(0);
  });

  it('of a host that waits are done in the end', async () => {
    const held = [await ask(), await ask()];
    const { port } = server.address() as AddressInfo;
    const folder = await mkdtemp(join(tmpdir(), 'busy-'));
    const digest = path.split('/').at(-1) ?? '';
    const done = fetchWhole({
      disk: realDisk,
      source: { url: `http://127.0.0.1:${port}`, token: agent.downloadToken },
      ...{ digest, sizeBytes, maxBytes: 0, partPath: join(folder, 'part') },
      signal: new AbortController().signal,
    });
    await refused(3);
    held.pop()?.destroy();
    await done;
    await rm(folder, { recursive: true });
    for (const response of held) response.destroy();
    await active(0);
  });

  it('give the slot back at their end, also where there is nothing to send', async () => {
    for (const what of [`${path}/chunks`, `/api/v1/artifacts/sha256:${'0'.repeat(64)}`]) {
      const response = await ask(what);
      response.resume();
      await once(response, 'end');
    }
    await app.ask('HEAD', path);
    await active(0);
  });
});

it('DOWNLOAD-2: a body that nobody reads is cut off, and gives its slot back', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'slot-'));
  await writeFile(join(folder, 'file'), new Uint8Array(2 ** 20));
  const reader = await new Promise<ReadableStreamDefaultReader>((resolve) => {
    const stream = createReadStream(join(folder, 'file'));
    const body = slottedBody(stream, () => resolve(body.getReader()), 20);
  });
  const read = async () => {
    while (!(await reader.read()).done);
  };
  await expect(read()).rejects.toThrow('nothing read in 20 ms');
  await rm(folder, { recursive: true });
});
