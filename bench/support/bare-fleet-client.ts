import { once } from 'node:events';
import { WebSocket } from 'ws';
import { answerCommands } from './child.ts';

/** An acknowledgement as short as the protocol's report can be. */
const ACK = Buffer.alloc(16);
const AT_ONCE = 64;

export interface BareClientCommand {
  readonly connect: number;
  readonly port: number;
}

/** So many connections that acknowledge whatever comes. */
answerCommands<BareClientCommand, number>(0, async ({ connect, port }) => {
  for (let open = 0; open < connect; open += AT_ONCE) {
    const some = Array.from({ length: Math.min(AT_ONCE, connect - open) }, () => {
      const socket = new WebSocket(`ws://127.0.0.1:${port}`, { perMessageDeflate: false });
      socket.on('message', () => socket.send(ACK));
      return once(socket, 'open');
    });
    await Promise.all(some);
  }
  return connect;
});
