import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';

/** Connections the kernel holds until they are accepted: a burst while this process is busy is not refused. */
const BACKLOG = 511;

/** A listening socket whose connections are handed on unread. */
export class Listener {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** Rejects when the address cannot be had. */
  static async open(
    host: string,
    port: number,
    onConnection: (socket: Socket) => void,
  ): Promise<Listener> {
    const server = createServer({ pauseOnConnect: true, noDelay: true, allowHalfOpen: true });
    server.on('connection', (socket) => {
      // Node would count each connection over all processes, for a `getConnections` that nobody calls.
      Reflect.set(socket, 'server', null);
      onConnection(socket);
    });
    server.listen({ host, port, backlog: BACKLOG });
    await once(server, 'listening');
    // Too many open files, say: the connection is lost, the listener is not.
    server.on('error', () => undefined);
    return new Listener(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  close(): void {
    this.#server.close();
  }
}
