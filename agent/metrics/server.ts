import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf } from '../error.ts';

const CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/** `GET /metrics` for Prometheus, in the supervisor: it answers while every engine computes. */
export class MetricsServer {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Rejects when the port can't be had. `render` is called for each scrape. */
  static async open(
    host: string,
    port: number,
    render: () => Promise<string>,
  ): Promise<MetricsServer> {
    const server = createServer((req, res) => void answer(req, res, render));
    server.listen(port, host);
    await once(server, 'listening');
    return new MetricsServer(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }
}

async function answer(
  req: IncomingMessage,
  res: ServerResponse,
  render: () => Promise<string>,
): Promise<void> {
  req.resume();
  if (req.url?.split('?', 1)[0] !== '/metrics') {
    res.writeHead(404, { 'content-type': 'text/plain' }).end('metrics are under /metrics\n');
    return;
  }
  if (req.method !== 'GET' && req.method !== 'HEAD') {
    res.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  try {
    const text = await render();
    res.writeHead(200, { 'content-type': CONTENT_TYPE }).end(text);
  } catch (error) {
    res.writeHead(500, { 'content-type': 'text/plain' }).end(`${messageOf(error)}\n`);
  }
}
