import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { answerCommands } from './child.ts';
import { type ServerAnswer, type ServerCommand, usage } from './server-protocol.ts';

/**
 * What no server on Node can go below: the same canned answer to every request, with nothing parsed, run or counted.
 * `node:http` reads the request as HTTP and throws it away; `node:net` does not even look at what came, and counts on
 * requests that arrive in one piece.
 */
export interface FloorSetup {
  readonly under: 'node:http' | 'node:net';
  readonly body: string;
}

const { under, body } = JSON.parse(process.argv[2]) as FloorSetup;
const bytes = Buffer.from(body);
const headers = { 'content-type': 'application/json', 'content-length': bytes.length };

function createFloor() {
  if (under === 'node:net') {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const answer = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${lines.join('')}\r\n`), bytes]);
    return createTcpServer({ noDelay: true }, (socket) => {
      socket.on('data', () => socket.write(answer));
      // Whoever goes away goes away; the load counts what it was not answered.
      socket.on('error', () => socket.destroy());
    });
  }
  return createHttpServer((req, res) => {
    req.resume();
    req.on('end', () => {
      res.writeHead(200, headers);
      res.end(bytes);
    });
  });
}

const server = createFloor();
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address() as AddressInfo;
  answerCommands<ServerCommand, ServerAnswer>({ kind: 'listening', port }, async ({ kind }) =>
    kind === 'usage' ? usage() : { kind: 'finished', observedRows: null },
  );
});
