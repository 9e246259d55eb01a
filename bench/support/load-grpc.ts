import { readFile } from 'node:fs/promises';
import { answerCommands } from './child.ts';
import type { LoadCommand, Stream, StreamResult } from './load.ts';
import { GrpcLoadConnection } from './load-grpc-connection.ts';
import { splitRequests } from './requests.ts';

/** Calls at once on one connection: a stream of 64 "connections" is 16 of them. */
const CALLS_PER_CONNECTION = 4;

/** As `load.ts`, over gRPC: a closed loop of as many calls as the stream has connections. */
async function load({ port, durationMs, streams }: LoadCommand): Promise<StreamResult[]> {
  return Promise.all(streams.map((stream) => run(port, stream, durationMs)));
}

async function run(port: number, stream: Stream, durationMs: number): Promise<StreamResult> {
  const bodies = splitRequests(await readFile(stream.requests));
  const latenciesUs: number[] = [];
  let errors = 0;
  let next = 0;
  let onTheirWay = 0;
  let endAt = 0;
  let finished = () => {};
  const send = (connection: GrpcLoadConnection) => {
    onTheirWay += 1;
    connection.send(bodies[next % bodies.length]);
    next += 1;
  };
  const onAnswer = (connection: GrpcLoadConnection, latencyUs: number, ok: boolean) => {
    onTheirWay -= 1;
    if (ok) latenciesUs.push(latencyUs);
    else errors += 1;
    if (performance.now() < endAt && connection.open) send(connection);
    else if (onTheirWay === 0) finished();
  };
  const count = Math.ceil(stream.connections / CALLS_PER_CONNECTION);
  const connections = await Promise.all(
    Array.from({ length: count }, () => GrpcLoadConnection.open(port, onAnswer)),
  );
  const done = new Promise<void>((resolve) => {
    finished = resolve;
  });
  let polling = true;
  const poll = () => {
    // A sleeping client has to be woken by the server's write, which the server pays for.
    if (polling) setImmediate(poll);
  };
  poll();
  const startedAt = performance.now();
  endAt = startedAt + durationMs;
  for (let call = 0; call < stream.connections; call += 1) send(connections[call % count]);
  await done;
  polling = false;
  const seconds = (performance.now() - startedAt) / 1000;
  for (const connection of connections) connection.close();
  const sorted = Float64Array.from(latenciesUs).sort();
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  const requests = sorted.length;
  return { requests, errors, perSecond: requests / seconds, p50Us: at(0.5), p99Us: at(0.99) };
}

answerCommands<LoadCommand, StreamResult[]>([], load);
