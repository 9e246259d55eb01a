import type { ServerHttp2Stream } from 'node:http2';
import type { OipServer } from '../oip-app.ts';
import { OipError } from '../oip-error.ts';
import { isOver, sendHeaders, sendRefusal } from './grpc-answer.ts';
import { frameMessage } from './message-frame.ts';
import { BLOCK, ProtoReader } from './proto-reader.ts';
import { ProtoWriter } from './proto-writer.ts';

/** `HealthCheckResponse.ServingStatus` of grpc.health.v1. */
const SERVING = 1;
const NOT_SERVING = 2;
const SERVICE_UNKNOWN = 3;
type ServingStatus = typeof SERVING | typeof NOT_SERVING | typeof SERVICE_UNKNOWN;

const INFERENCE_SERVICE = 'inference.GRPCInferenceService';

/** How often a watched status is looked at; what changes it, a new plan, takes longer than that to arrive. */
const WATCH_INTERVAL_MS = 250;

const writer = new ProtoWriter();

/** The `service` of a `HealthCheckRequest`. Throws 'bad_request'. */
export function readService(message: Buffer): string {
  const reader = new ProtoReader(message, 'HealthCheckRequest');
  let service = '';
  for (let tag = reader.tag(); tag !== 0; tag = reader.tag()) {
    if (tag === 1 * 8 + BLOCK) service = reader.text();
    else reader.skip(tag);
  }
  return service;
}

/** '' and the inference service are the whole server; any other name is a deployment's. */
function statusOf(server: OipServer, service: string): ServingStatus {
  if (service === '' || service === INFERENCE_SERVICE) {
    return server.ready() ? SERVING : NOT_SERVING;
  }
  if (!server.state().deployments.has(service)) return SERVICE_UNKNOWN;
  return server.ready() ? SERVING : NOT_SERVING;
}

/** `Check`. Throws 'unknown_model' for a service that is not known, as grpc.health.v1 asks for. */
export function checkHealth(server: OipServer, message: Buffer, out: ProtoWriter): void {
  const service = readService(message);
  const status = statusOf(server, service);
  if (status === SERVICE_UNKNOWN) {
    throw new OipError('unknown_model', `unknown service "${service.slice(0, 128)}"`);
  }
  out.int64(1, status);
}

/** Everyone who watches a status: told of it at once, and again whenever it is another. */
export class HealthWatchers {
  readonly #server: OipServer;
  readonly #watched = new Map<ServerHttp2Stream, { service: string; told: ServingStatus }>();
  #timer: NodeJS.Timeout | null = null;

  constructor(server: OipServer) {
    this.#server = server;
  }

  /** `Watch`. Throws 'bad_request'. */
  add(stream: ServerHttp2Stream, message: Buffer): void {
    if (isOver(stream)) return;
    const service = readService(message);
    const told = statusOf(this.#server, service);
    this.#watched.set(stream, { service, told });
    stream.once('close', () => this.#remove(stream));
    sendHeaders(stream);
    tell(stream, told);
    this.#timer ??= setInterval(() => this.#look(), WATCH_INTERVAL_MS).unref();
  }

  /** The server goes away: watchers shall ask another. */
  close(): void {
    for (const stream of this.#watched.keys()) {
      sendRefusal(stream, new OipError('not_ready', 'this server is shutting down'));
    }
  }

  #look(): void {
    for (const [stream, watched] of this.#watched) {
      const status = statusOf(this.#server, watched.service);
      // A client that does not read is told the latest when it does.
      if (status === watched.told || stream.writableNeedDrain) continue;
      watched.told = status;
      tell(stream, status);
    }
  }

  #remove(stream: ServerHttp2Stream): void {
    this.#watched.delete(stream);
    if (this.#watched.size > 0 || this.#timer === null) return;
    clearInterval(this.#timer);
    this.#timer = null;
  }
}

function tell(stream: ServerHttp2Stream, status: ServingStatus): void {
  writer.reset();
  writer.int64(1, status);
  for (const part of frameMessage(writer)) stream.write(part);
}
