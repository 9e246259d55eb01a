import { once } from 'node:events';
import { realpathSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { createServer as createSecureServer, Server as SecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { pathToFileURL } from 'node:url';
import { createAdaptorServer } from '@hono/node-server';
import { type Logger, pino } from 'pino';
import { MAX_PROFILE_BYTES } from '../protocol/limits.ts';
import { record } from './audit/record.ts';
import { type ControlConfig, parseControlConfig, USAGE } from './config.ts';
import { keepHeapSmall } from './heap.ts';
import { createApp } from './http/app.ts';
import { isAllowedHost } from './http/host-check.ts';
import type { Hub } from './http/services.ts';
import { createHub } from './link/hub.ts';
import { sourceOf } from './link/source-address.ts';
import { type Notify, startNotify } from './notify/desk.ts';
import { Blobs } from './store/blobs.ts';
import { Store } from './store/database.ts';
import { createToken, hasTokens } from './store/tokens.ts';
import { readTls } from './tls.ts';
import { Trust } from './trust/trust.ts';

export interface ControlPlane {
  readonly url: string;
  readonly port: number;
  /** The first admin token, on the very first start only: it is nowhere else. */
  readonly adminToken: string | null;
  /** Reads certificate and key again. Throws, and goes on with those it has, when they are not good. */
  reloadTls(): void;
  close(): Promise<void>;
}

/** Uploads of 2 GiB over 5 Mbit/s; headers still have to come within Node's minute. */
const REQUEST_TIMEOUT_MS = 3_600_000;
/** Requests under way get this long at a stop; a long poll or a download could take far longer. */
const DRAIN_MS = 1000;
const SWEEP_MS = 20;
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/;

/** Opens the data directory, serves the API and the link on one port, and resolves when both do. */
export async function startControlPlane(config: ControlConfig, log: Logger): Promise<ControlPlane> {
  const store = await Store.open(config.dataDir);
  try {
    const trust = await Trust.open(store, config.dataDir, Date.now());
    const blobs = new Blobs(config.dataDir);
    const hub = await createHub({
      store,
      trust,
      log,
      keepWindowsMs: config.keepWindowsMs,
      admission: config.admission,
      admissionRate: config.admissionRate,
      // Behind a proxy all links come from its address.
      sourceOf: ({ socket }) =>
        config.behindProxy === true ? null : sourceOf(socket.remoteAddress ?? ''),
      jurisdiction: config.jurisdiction ?? null,
      readArtifact: (digest) => blobs.read(digest, MAX_PROFILE_BYTES),
    });
    const hostNames = new Set([config.host, ...config.hostNames].map((name) => name.toLowerCase()));
    const stopping = new AbortController();
    let url = '';
    const notify = await startNotify({
      store,
      dataDir: config.dataDir,
      log,
      now: Date.now,
      allowNetworks: config.allowNetworks ?? [],
      publicUrl: () => config.publicUrl ?? url,
    });
    const app = createApp({
      ...hub,
      notify,
      store,
      blobs,
      key: trust.online,
      trust,
      hostNames,
      log,
      now: Date.now,
      maxDownloads: config.maxDownloads,
      stopping: stopping.signal,
    });
    const server = createServerOf(config, app.hono.fetch);
    const links = acceptLinks(server, hub, hostNames, log);
    try {
      server.listen(config.port, config.host);
      await once(server, 'listening');
    } catch (error) {
      await notify.close();
      await hub.close();
      throw error;
    }
    // Only now: a token made by a start that then finds its port taken would never have been shown.
    const adminToken = await firstToken(store);
    const { port } = server.address() as AddressInfo;
    const host = config.host.includes(':') ? `[${config.host}]` : config.host;
    url = `${config.tls === undefined ? 'http' : 'https'}://${host}:${port}`;
    return {
      url,
      port,
      adminToken,
      reloadTls: () => {
        if (config.tls !== undefined && server instanceof SecureServer) {
          server.setSecureContext(readTls(config.tls));
        }
      },
      close: () => {
        stopping.abort();
        return stop(server, links, { hub, notify, store });
      },
    };
  } catch (error) {
    await store.close();
    throw error;
  }
}

function createServerOf(
  { tls }: ControlConfig,
  fetch: Parameters<typeof createAdaptorServer>[0]['fetch'],
): Server {
  const serverOptions = { requestTimeout: REQUEST_TIMEOUT_MS };
  const server =
    tls === undefined
      ? createAdaptorServer({ fetch, createServer, serverOptions })
      : createAdaptorServer({
          fetch,
          createServer: createSecureServer,
          serverOptions: { ...serverOptions, ...readTls(tls) },
        });
  // Either kind of Node's: what is called of them below, both have.
  return server as Server;
}

/** No default password: the first start makes a token, and only its hash is kept. */
async function firstToken(store: Store): Promise<string | null> {
  return store.write(async (tx) => {
    if (await hasTokens(tx)) return null;
    const now = Date.now();
    const { token, text } = await createToken(tx, 'admin', 'admin', now);
    const detail = { name: token.name, role: token.role };
    await record(tx, now, 'system', 'token.created', `token:${token.id}`, detail);
    return text;
  });
}

function acceptLinks(
  server: Server,
  hub: Hub,
  hostNames: ReadonlySet<string>,
  log: Logger,
): ReadonlySet<Duplex> {
  const links = new Set<Duplex>();
  server.on('upgrade', (request, socket, head) => {
    links.add(socket);
    socket.on('close', () => links.delete(socket));
    socket.on('error', (error) => log.debug({ err: error }, 'upgrade-broke-off'));
    if (!isAllowedHost(request.headers.host, hostNames)) {
      socket.end('HTTP/1.1 421 Misdirected Request\r\nConnection: close\r\n\r\n');
      return;
    }
    try {
      hub.handleUpgrade(request, socket, head);
    } catch (error) {
      // A request line that is no URL: a stranger's, and no reason to stop.
      log.debug({ err: error }, 'upgrade-refused');
      socket.destroy();
    }
  });
  return links;
}

async function stop(
  server: Server,
  links: ReadonlySet<Duplex>,
  { hub, notify, store }: { hub: Hub; notify: Notify; store: Store },
): Promise<void> {
  const closed = once(server, 'close');
  server.close();
  await hub.close();
  const impatience = setTimeout(() => {
    server.closeAllConnections();
    // Upgraded sockets are no longer the server's to close; a peer that is gone never answers.
    for (const link of links) link.destroy();
  }, DRAIN_MS);
  // A connection whose last response ends during the stop would wait for its keep-alive to run out.
  const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
  await closed;
  await notify.close();
  clearInterval(sweep);
  clearTimeout(impatience);
  await store.close();
}

async function main(): Promise<void> {
  if (process.argv.includes('--help')) {
    process.stdout.write(`${USAGE}\n`);
    return;
  }
  let config: ReturnType<typeof parseControlConfig>;
  try {
    config = parseControlConfig(process.argv.slice(2));
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : error}\n${USAGE}\n`);
    process.exitCode = 2;
    return;
  }
  const log = pino();
  const control = await startControlPlane(config, log);
  if (control.adminToken !== null) {
    if (config.printToken) log.info({ token: control.adminToken }, 'admin-token');
    else process.stdout.write(`admin token (shown this once): ${control.adminToken}\n`);
  }
  log.info({ url: control.url, data: config.dataDir }, 'listening');
  if (config.tls === undefined && !LOOPBACK.test(config.host)) {
    log.warn(
      { host: config.host },
      'plain http off loopback: give --tls-cert and --tls-key, or put a proxy that ends TLS before it',
    );
  }
  process.on('SIGHUP', () => {
    try {
      control.reloadTls();
      log.info('tls-reloaded');
    } catch (error) {
      log.error({ err: error }, 'tls-not-reloaded');
    }
  });
  const end = (signal: NodeJS.Signals) => {
    log.info({ signal }, 'stopping');
    control.close().then(
      () => log.info('stopped'),
      (error: unknown) => {
        log.error({ err: error }, 'stop-failed');
        process.exitCode = 1;
      },
    );
  };
  process.once('SIGTERM', end);
  process.once('SIGINT', end);
}

// Compared by real path: an installed command is a link to this file.
const started = process.argv[1];
if (started !== undefined && import.meta.url === pathToFileURL(realpathSync(started)).href) {
  keepHeapSmall();
  main().catch((error: unknown) => {
    process.stderr.write(`the control plane could not start: ${error}\n`);
    process.exitCode = 1;
  });
}
