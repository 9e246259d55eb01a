import { readFile } from 'node:fs/promises';
import { answerCommands } from './child.ts';
import { LoadConnection } from './load-connection.ts';
import { splitRequests } from './requests.ts';

/** A closed loop: each connection sends its next request as soon as it has its answer, or `everyMs` after the last. */
export interface Stream {
  /** A file that `joinRequests` made; they are sent in turn. */
  readonly requests: string;
  readonly connections: number;
  readonly everyMs?: number;
}

/** All streams at once, from one process: two that poll would take each other's core. */
export interface LoadCommand {
  readonly port: number;
  readonly durationMs: number;
  readonly streams: readonly Stream[];
}

/** One stream in one window. Everything sent in it was also answered in it. */
export interface StreamResult {
  readonly requests: number;
  readonly errors: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const files = new Map<string, readonly Buffer[]>();

async function requestsIn(path: string): Promise<readonly Buffer[]> {
  const known = files.get(path);
  if (known !== undefined) return known;
  const requests = splitRequests(await readFile(path));
  files.set(path, requests);
  return requests;
}

async function load({ port, durationMs, streams }: LoadCommand): Promise<StreamResult[]> {
  const prepared = await Promise.all(streams.map((stream) => prepare(port, stream)));
  const stopPolling = pollBusily();
  const results = await Promise.all(prepared.map((run) => run(durationMs)));
  stopPolling();
  return results;
}

/** Opens the connections of a stream; what it returns runs it once. */
async function prepare(port: number, { requests: file, connections, everyMs = 0 }: Stream) {
  const requests = await requestsIn(file);
  const latenciesUs: number[] = [];
  let errors = 0;
  let next = 0;
  let onTheirWay = 0;
  let endAt = 0;
  let finished = () => {};
  const send = (connection: LoadConnection) => {
    connection.send(requests[next % requests.length]);
    next += 1;
  };
  const onAnswer = (connection: LoadConnection, ok: boolean) => {
    const now = performance.now();
    if (ok) latenciesUs.push((now - connection.sentAt) * 1000);
    else errors += 1;
    const wait = Math.max(0, connection.sentAt + everyMs - now);
    if (now + wait < endAt && connection.open) {
      if (wait === 0) send(connection);
      else setTimeout(send, wait, connection);
    } else {
      onTheirWay -= 1;
      if (onTheirWay === 0) finished();
    }
  };
  const opened = await Promise.all(
    Array.from({ length: connections }, () => LoadConnection.open(port, onAnswer)),
  );
  return async (durationMs: number): Promise<StreamResult> => {
    const done = new Promise<void>((resolve) => {
      finished = resolve;
    });
    const startedAt = performance.now();
    endAt = startedAt + durationMs;
    onTheirWay = opened.length;
    for (const connection of opened) send(connection);
    await done;
    const seconds = (performance.now() - startedAt) / 1000;
    for (const connection of opened) connection.close();
    return summarise(latenciesUs, errors, seconds);
  };
}

/**
 * Keeps the event loop from sleeping. A sleeping client has to be woken by the server's write, which costs the
 * server about as much as the answer itself.
 */
function pollBusily(): () => void {
  let polling = true;
  const poll = () => {
    if (polling) setImmediate(poll);
  };
  poll();
  return () => {
    polling = false;
  };
}

function summarise(latenciesUs: readonly number[], errors: number, seconds: number): StreamResult {
  const sorted = Float64Array.from(latenciesUs).sort();
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return {
    requests: sorted.length,
    errors,
    perSecond: sorted.length / seconds,
    p50Us: at(0.5),
    p99Us: at(0.99),
  };
}

answerCommands<LoadCommand, StreamResult[]>([], load);
