import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { answerCommands } from './child.ts';

export type BareFleetCommand = { readonly kind: 'state' } | { readonly kind: 'broadcast' };

export interface BareFleetAnswer {
  readonly port: number;
  readonly connections: number;
  readonly rssBytes: number;
  /** Of the last broadcast: when each acknowledgement came, ascending. */
  readonly acknowledgedMs: readonly number[];
}

/** A signed document of one deployment and its envelope are about so large. */
const DOCUMENT_BYTES = 900;
const WAIT_MS = 10_000;

/** What a fleet costs with nothing but `ws`: it knows no agent, checks nothing and keeps nothing. */
const server = new WebSocketServer({
  ...{ port: 0, host: '127.0.0.1', perMessageDeflate: false },
});
await once(server, 'listening');
const { port } = server.address() as AddressInfo;
let acknowledgedMs: number[] = [];
let startMs = 0;
server.on('connection', (socket) => {
  socket.on('message', () => acknowledgedMs.push(performance.now() - startMs));
});

async function broadcast(): Promise<void> {
  const document = Buffer.alloc(DOCUMENT_BYTES, 7);
  acknowledgedMs = [];
  startMs = performance.now();
  for (const socket of server.clients) socket.send(document);
  while (acknowledgedMs.length < server.clients.size && performance.now() - startMs < WAIT_MS) {
    await new Promise((wake) => setTimeout(wake, 5));
  }
}

const state = (): BareFleetAnswer => ({
  ...{ port, acknowledgedMs },
  connections: server.clients.size,
  rssBytes: process.memoryUsage.rss(),
});

answerCommands<BareFleetCommand, BareFleetAnswer>(state(), async ({ kind }) => {
  if (kind === 'broadcast') await broadcast();
  return state();
});
