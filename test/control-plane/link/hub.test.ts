import { once } from 'node:events';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { eventsAfter } from '../../../control-plane/audit/record.ts';
import { readDownloadToken } from '../../../control-plane/link/download-token.ts';
import { MAX_FRAME_BYTES } from '../../../protocol/limits.ts';
import { generateSigningKey } from '../../../protocol/signing.ts';
import { ControlFixture } from '../../support/control-fixture.ts';
import { LinkAgent } from '../../support/link-agent.ts';

let control: ControlFixture;
beforeEach(async () => {
  control = await ControlFixture.start({ helloTimeoutMs: 200 });
});
afterEach(() => control.stop());

async function refusedWith(agent: LinkAgent): Promise<string> {
  await agent.until(() => agent.closed !== null);
  expect(agent.closed).toMatchObject({ code: 1008, reason: agent.last('refused').code });
  return agent.last('refused').code;
}

describe('PROGRESS-2: what a host downloads', () => {
  const digest = `sha256:${'4'.repeat(64)}`;
  const half = { manifest: digest, digest, doneBytes: 50, totalBytes: 100 };

  it('is known as it was said last, until it is over or the host is away', async () => {
    const agent = await control.agent();
    const id = agent.id ?? '';
    const said = async (downloads: (typeof half)[]) => {
      agent.send({ kind: 'progress', at: 0, downloads });
      while (control.hub.fleet.downloads(id).length !== downloads.length) {
        await new Promise(setImmediate);
      }
    };
    await said([half]);
    expect(control.hub.fleet.downloads(id)).toEqual([half]);
    await said([]);
    await said([half]);
    await agent.cut();
    while (control.hub.fleet.connected().has(id)) await new Promise(setImmediate);
    expect(control.hub.fleet.downloads(id)).toEqual([]);
    await agent.join(control.url, null);
    expect(control.hub.fleet.downloads(id)).toEqual([]);
  });
});

describe('joining', () => {
  it('gives an id, a signed document and a download token for a join token', async () => {
    const agent = await control.agent('edge-1');
    expect(agent.id).toMatch(/^agt_[0-9a-f]{24}$/);
    expect(agent.desired).toMatchObject({ agent: agent.id });
    expect(agent.arms('loans')).toEqual([['stable', 1, 1]]);
    const now = Date.now();
    expect(await readDownloadToken(control.key, agent.downloadToken, now)).toBe(agent.id);
    expect(await readDownloadToken(control.key, agent.downloadToken, now + 3_700_000)).toBeNull();
    const forged =
      agent.downloadToken.slice(0, -3) + (agent.downloadToken.endsWith('AAA') ? 'BBB' : 'AAA');
    expect(await readDownloadToken(control.key, forged, now)).toBeNull();
    const events = await eventsAfter(control.store.read, 0, 10);
    expect(events.map((event) => event.action)).toEqual(['root.published', 'agent.joined']);
  });

  it('HELLO-9: takes a token once, and not after it expired', async () => {
    const token = await control.token();
    const first = await LinkAgent.create();
    await first.join(control.url, token);
    const second = await LinkAgent.create();
    await second.join(control.url, token);
    expect(await refusedWith(second)).toBe('bad-join-token');
    const late = await LinkAgent.create();
    await late.join(control.url, await control.token({}, -1));
    expect(await refusedWith(late)).toBe('bad-join-token');
  });

  it('knows a key again without a token, even when the host forgot its id', async () => {
    const agent = await control.agent();
    const { id, desired } = agent;
    await agent.cut();
    agent.id = null;
    await agent.join(control.url, null);
    expect(agent.id).toBe(id);
    expect(agent.desired?.generation).toBe(desired?.generation);
  });

  it('refuses unknown keys, foreign ids and other protocols', async () => {
    const known = await control.agent();
    const stranger = await LinkAgent.create();
    await stranger.join(control.url, null);
    expect(await refusedWith(stranger)).toBe('unknown-agent');
    stranger.id = known.id;
    await stranger.join(control.url, null);
    expect(await refusedWith(stranger)).toBe('bad-proof');

    const future = await stranger.open(control.url);
    stranger.send(await stranger.hello(future, { protocol: 99 }));
    expect(await refusedWith(stranger)).toBe('unsupported-protocol');
    expect(known.closed).toBeNull();
  });

  it('refuses a known key whose proof is for another challenge, another control plane or by another key', async () => {
    const known = await control.agent();
    await known.cut();
    const other = (await generateSigningKey()).key;
    const forgeries = [
      { nonce: new Uint8Array(32) },
      { controlKey: new Uint8Array(other.publicKey) },
    ];
    for (const forged of forgeries) {
      const challenge = await known.open(control.url);
      known.send(await known.hello({ ...challenge, ...forged }, {}));
      expect(await refusedWith(known)).toBe('bad-proof');
    }
    const thief = Object.assign(await LinkAgent.create(), { id: known.id });
    const challenge = await thief.open(control.url);
    const publicKey = new Uint8Array(known.key.publicKey);
    thief.send(await thief.hello(challenge, { publicKey }));
    expect(await refusedWith(thief)).toBe('bad-proof');
    expect(control.hub.fleet.connected().size).toBe(0);
  });

  it('LINK-5: replaces the older link of the same agent', async () => {
    const agent = await control.agent();
    const twin = Object.assign(await LinkAgent.create(), { key: agent.key, id: agent.id });
    await twin.join(control.url, null);
    expect(await refusedWith(agent)).toBe('replaced');
    expect(twin.closed).toBeNull();
    expect(control.hub.fleet.connected()).toEqual(new Set([agent.id]));
  });
});

describe('misbehaviour', () => {
  it('HELLO-8: closes a silent link after the hello timeout', async () => {
    const agent = await LinkAgent.create();
    await agent.open(control.url);
    expect(await refusedWith(agent)).toBe('hello-timeout');
  });

  it.each([
    ['bad-frame', 'text'],
    ['bad-frame', new Uint8Array([0xc1, 0xff])],
    ['bad-message', new Uint8Array([0x81, 0xa4, 0x6b, 0x69, 0x6e, 0x64, 0xa1, 0x78])],
  ] as const)('refuses with %s and leaves others alone', async (code, frame) => {
    const good = await control.agent();
    const bad = await control.agent();
    bad.raw(frame);
    expect(await refusedWith(bad)).toBe(code);
    expect(good.closed).toBeNull();
    expect(control.hub.fleet.connected()).toEqual(new Set([good.id]));
  });

  it('HELLO-7: refuses messages before the hello, and a second hello', async () => {
    const early = await LinkAgent.create();
    await early.open(control.url);
    early.send({ kind: 'event', at: 0, name: 'fell-back', detail: '' });
    expect(await refusedWith(early)).toBe('unexpected-message');
    const twice = await control.agent();
    twice.send(await twice.hello(twice.last('challenge'), {}));
    expect(await refusedWith(twice)).toBe('unexpected-message');
  });

  it('cuts off a frame above the limit', async () => {
    const good = await control.agent();
    const bad = await control.agent();
    bad.raw(new Uint8Array(MAX_FRAME_BYTES + 1));
    await bad.until(() => bad.closed !== null);
    expect(bad.closed?.code).toBe(1009);
    expect(good.closed).toBeNull();
  });

  it('drops a link whose other end is gone without a word', async () => {
    await control.stop();
    control = await ControlFixture.start({ pingIntervalMs: 30 });
    const alive = await control.agent();
    const socket = new WebSocket(control.url, { autoPong: false });
    await once(socket, 'close');
    expect(alive.closed).toBeNull();
  });

  it('destroys upgrades of any other path', async () => {
    const agent = await LinkAgent.create();
    const opened = agent.open(control.url.replace('/link', '/other'));
    await agent.until(() => agent.closed !== null);
    expect(agent.received).toEqual([]);
    void opened;
  });
});

describe('stopping', () => {
  it('tells hosts to come back soon', async () => {
    const agent = await control.agent();
    await control.hub.close();
    expect(await refusedWith(agent)).toBe('shutting-down');
    expect(agent.last('refused').retryAfterMs).toBeGreaterThan(0);
  });
});
