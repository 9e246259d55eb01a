import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { afterEach, describe, expect, it } from 'vitest';
import { Distributor } from '../../../../agent/engine/pool/distributor.ts';
import { Listener } from '../../../../agent/engine/pool/listener.ts';

/** As many as the distributor holds while no engine is up. */
const HELD = 1024;

let listener: Listener;
const clients: Socket[] = [];
afterEach(() => {
  listener.close();
  for (const client of clients.splice(0)) client.destroy();
});

/** A distributor on a real listener, with no engine to give anything to. */
async function withoutEngines(): Promise<Distributor> {
  const distributor = new Distributor(() => []);
  listener = await Listener.open('127.0.0.1', 0, (socket) => distributor.accept('http', socket));
  return distributor;
}

async function client(): Promise<Socket> {
  const socket = connect(listener.port, '127.0.0.1');
  clients.push(socket);
  await once(socket, 'connect');
  return socket;
}

describe('connections while no engine is up', () => {
  it(`are held, ${HELD} of them; the next one is answered 503 at once`, async () => {
    const distributor = await withoutEngines();
    for (let k = 0; k < HELD; k += 1) await client();
    const refused = await text(await client());
    expect(refused).toMatch(/^HTTP\/1\.1 503 Service Unavailable\r\n/);
    expect(refused).toContain('Retry-After: 1\r\n');
    expect(refused).toContain('"code":"not_ready"');
    expect(distributor.held).toBe(HELD);
  });

  it('are answered 503 when the agent stops, and closed after that', async () => {
    const distributor = await withoutEngines();
    const held = await client();
    const later = text(held);
    const second = text(await client());
    await expect.poll(() => distributor.held).toBe(2);
    distributor.stop();
    expect(await later).toContain('503 Service Unavailable');
    expect(await second).toContain('503 Service Unavailable');
    expect(await text(await client())).toBe('');
    expect(distributor.open).toBe(0);
  });
});
