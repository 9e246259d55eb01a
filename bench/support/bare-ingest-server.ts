import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { answerCommands } from './child.ts';

export interface BareIngestAnswer {
  readonly port: number;
  readonly bytes: number;
  readonly cpuSeconds: number;
}

/** As long as the acknowledgement of a window. */
const ANSWER = Buffer.alloc(Number(process.argv[2]), 7);

/** What reading windows costs with nothing but `ws`: it reads each frame whole, looks at nothing, and answers. */
const server = new WebSocketServer({
  ...{ port: 0, host: '127.0.0.1', perMessageDeflate: false },
});
await once(server, 'listening');
let bytes = 0;
server.on('connection', (socket) => {
  socket.on('message', (data: Buffer) => {
    bytes += data.length;
    socket.send(ANSWER);
  });
});
const { port } = server.address() as AddressInfo;
const state = (): BareIngestAnswer => {
  const { user, system } = process.cpuUsage();
  return { port, bytes, cpuSeconds: (user + system) / 1e6 };
};
answerCommands<object, BareIngestAnswer>(state(), async () => state());
