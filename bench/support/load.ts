import { answerCommands } from './child.ts';
import { LoadConnection } from './load-connection.ts';
import { INFER_PATH, inferBody, trafficRows } from './mortgage.ts';

export interface LoadCommand {
  readonly port: number;
  readonly connections: number;
  readonly durationMs: number;
}

/** One window of load. Everything sent in it was also answered in it. */
export interface LoadResult {
  readonly requests: number;
  readonly errors: number;
  readonly perSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
}

const NOTHING: LoadResult = { requests: 0, errors: 0, perSecond: 0, p50Us: 0, p99Us: 0 };

const requests = (await trafficRows()).map((row) => {
  const body = inferBody([row]);
  const head = `POST ${INFER_PATH} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n`;
  return Buffer.from(`${head}content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`);
});

/** A closed loop: each connection sends its next row as soon as it has its answer. */
async function load({ port, connections, durationMs }: LoadCommand): Promise<LoadResult> {
  const latenciesUs: number[] = [];
  let errors = 0;
  let next = 0;
  let onTheirWay = 0;
  let endAt = 0;
  let finished = () => {};
  const send = (connection: LoadConnection) => {
    onTheirWay += 1;
    connection.send(requests[next % requests.length]);
    next += 1;
  };
  const onAnswer = (connection: LoadConnection, ok: boolean) => {
    const now = performance.now();
    onTheirWay -= 1;
    if (ok) latenciesUs.push((now - connection.sentAt) * 1000);
    else errors += 1;
    if (now < endAt && connection.open) send(connection);
    else if (onTheirWay === 0) finished();
  };
  const opened = await Promise.all(
    Array.from({ length: connections }, () => LoadConnection.open(port, onAnswer)),
  );
  const done = new Promise<void>((resolve) => {
    finished = resolve;
  });
  const stopPolling = pollBusily();
  const startedAt = performance.now();
  endAt = startedAt + durationMs;
  for (const connection of opened) send(connection);
  await done;
  const seconds = (performance.now() - startedAt) / 1000;
  stopPolling();
  for (const connection of opened) connection.close();
  return summarise(latenciesUs, errors, seconds);
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

function summarise(latenciesUs: readonly number[], errors: number, seconds: number): LoadResult {
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

answerCommands<LoadCommand, LoadResult>(NOTHING, load);
