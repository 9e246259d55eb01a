import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import {
  AddressAdmissions,
  MAX_ADDRESSES,
} from '../../../control-plane/link/address-admissions.ts';
import { sourceOf } from '../../../control-plane/link/source-address.ts';
import { MAX_PROMISE_MS } from '../../../protocol/limits.ts';
import { ControlFixture } from '../../support/control-fixture.ts';

const rates = fc.record({
  perSecond: fc.integer({ min: 1, max: 2_000 }),
  burst: fc.integer({ min: 2, max: 500 }),
});
const gaps = fc.array(fc.integer({ min: 0, max: 50 }), { minLength: 1, maxLength: 1_000 });

describe('links of one address', () => {
  it('LINK-12: that never say hello take at most half of the burst and a tenth of the rate', () => {
    fc.assert(
      fc.property(rates, gaps, (rate, waits) => {
        const addresses = new AddressAdmissions(rate);
        let [now, taken] = [0, 0];
        for (const wait of waits) {
          now += wait;
          if (addresses.take('a', now) === 0) taken += 1;
          const most = Math.max(1, rate.burst / 2) + (0.1 * rate.perSecond * now) / 1000;
          expect(taken).toBeLessThanOrEqual(most + 1e-6);
        }
        expect(addresses.take('b', now)).toBe(0);
      }),
    );
  });

  it('LINK-12: that say a good hello are never held up, however many they are', () => {
    fc.assert(
      fc.property(rates, gaps, (rate, waits) => {
        const addresses = new AddressAdmissions(rate);
        let now = 0;
        for (const wait of waits) {
          now += wait;
          expect(addresses.take('a', now)).toBe(0);
          addresses.giveBack('a');
        }
      }),
    );
  });

  it('are told to come back one after the other, within a minute', () => {
    const addresses = new AddressAdmissions({ perSecond: 100, burst: 2 });
    const waits = Array.from({ length: 10_000 }, () => addresses.take('a', 5)).slice(1);
    expect(waits[0]).toBeGreaterThan(0);
    expect(waits).toEqual([...waits].sort((a, b) => a - b));
    expect(waits[waits.length - 1]).toBe(MAX_PROMISE_MS);
  });

  it('are remembered of a bounded number of addresses, the latest', () => {
    const addresses = new AddressAdmissions({ perSecond: 1, burst: 2 });
    for (let at = 0; at < MAX_ADDRESSES; at += 1) addresses.take(`a${at}`, 0);
    expect(addresses.take('a0', 0)).toBeGreaterThan(0);
    addresses.take('new', 0);
    expect(addresses.size).toBe(MAX_ADDRESSES);
    expect(addresses.take('a0', 0)).toBeGreaterThan(0);
    expect(addresses.take('a1', 0)).toBe(0);
  });
});

it.each([
  ['10.1.2.3', '10.1.2.3'],
  ['::ffff:10.1.2.3', '10.1.2.3'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:db8::6', '2001:db8:0:0::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['127.0.0.1', null],
  ['::ffff:127.0.0.1', null],
  ['::1', null],
  [undefined, null],
])('a link from %s is counted by %s', (remote, source) => {
  expect(sourceOf(remote)).toBe(source);
});

describe('a control plane', () => {
  let control: ControlFixture;
  const open: Socket[] = [];
  afterEach(async () => {
    for (const socket of open) socket.destroy();
    await control.stop();
  });
  const start = async (perSecond: number, burst: number) => {
    control = await ControlFixture.start({
      admissionRate: { perSecond, burst },
      sourceOf: ({ socket }) => socket.remoteAddress ?? null,
    });
  };

  /** The first line that a link of this address is answered. */
  async function answerTo(localAddress: string): Promise<string> {
    const socket = connect({
      host: '127.0.0.1',
      port: Number(new URL(control.url).port),
      localAddress,
    });
    open.push(socket);
    socket.write(
      'GET /link HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n',
    );
    const [bytes] = (await once(socket, 'data')) as [Buffer];
    return String(bytes).split('\r\n')[0];
  }

  it('LINK-12: lets in as many hosts of one address as say hello', async () => {
    await start(20, 10);
    for (let at = 0; at < 10; at += 1) expect((await control.agent()).closed).toBeNull();
  });

  it('LINK-12: lets hosts in while a stranger opens links and says nothing', async () => {
    await start(1, 10);
    const strange: string[] = [];
    for (let at = 0; at < 40; at += 1) strange.push(await answerTo('127.0.0.9'));
    expect(strange.filter((line) => line.includes(' 101 '))).toHaveLength(5);
    expect(strange.filter((line) => line.includes(' 503 '))).toHaveLength(35);
    // What is left of the burst is there for others.
    for (let at = 0; at < 5; at += 1) expect((await control.agent()).closed).toBeNull();
  });
});
