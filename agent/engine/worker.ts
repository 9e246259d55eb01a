import { Socket } from 'node:net';
import { messageOf } from '../error.ts';
import { Connections } from './connections.ts';
import { EnergyMeter } from './energy.ts';
import { Engine, type EngineOptions } from './engine.ts';
import { IpcHost } from './ipc-host.ts';
import { ComputeJournal } from './journal.ts';
import type { FromEngine, ToEngine } from './messages.ts';
import type { HostShare } from './model/placement.ts';
import { createNodeRuntime } from './model/runtime-node.ts';

export interface WorkerOptions
  extends Pick<EngineOptions, 'featureServers' | 'traces' | 'devicePrice'> {
  readonly ordinal: number;
  readonly version: string;
  readonly maxBodyBytes: number;
  readonly share: HostShare;
  /** Where the engine leaves its trace for the time after a crash. */
  readonly journalPath: string;
  /** Called from when it serves for a living, and not only probes; then every second or so. */
  readonly onServing: () => void;
}

/** Rows of one version from which an engine is at work. */
const SERVING_ROWS = 100;

/** How long a stopping engine waits for its connections before it closes them. */
const STOP_GRACE_MS = 3_000;

/** How long a draining engine waits for what it still owes before it says how much that is. */
const DRAIN_WAIT_MS = 15_000;

type Command = Exclude<ToEngine, { kind: 'connection' | 'answer' | 'restrain' }>;

/** The body of an engine process: an `Engine` driven by the supervisor's messages. */
export async function runEngineWorker(options: WorkerOptions): Promise<void> {
  const runtime = await createNodeRuntime();
  const host = new IpcHost(send);
  const journal = new ComputeJournal(options.journalPath);
  const connections = new Connections(send, journal);
  const { ordinal, version, maxBodyBytes, share, featureServers, traces, devicePrice } = options;
  const engine = new Engine({
    ...{ ordinal, version, maxBodyBytes, share, runtime, host, journal, featureServers, traces },
    ...{ devicePrice, energy: EnergyMeter.open() },
    waiting: connections,
    onWindow: send,
    onDecisions: send,
    onTrip: (trip) => send({ kind: 'tripped', trip }),
  });
  process.on('message', (message: ToEngine, socket: unknown) => {
    if (message.kind === 'answer') host.received(message);
    else if (message.kind === 'restrain') engine.restrain(message.restraints);
    else if (message.kind !== 'connection') obey(engine, connections, message, options);
    else if (socket instanceof Socket) {
      connections.adopt(message.connection, socket);
      engine.accept(message.transport, socket);
    }
  });
  // Without a supervisor nobody hands it connections or keeps its windows.
  process.on('disconnect', () => process.exit(0));
  // Ctrl-C reaches the whole process group; the supervisor decides when engines stop.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
  send({ kind: 'started' });
}

function send(message: FromEngine): void {
  // Fails only without a supervisor, and then this process ends.
  process.send?.(message, undefined, undefined, () => undefined);
}

function obey(
  engine: Engine,
  connections: Connections,
  message: Command,
  options: WorkerOptions,
): void {
  void execute(engine, connections, message, options).then(
    (reply) => send(reply),
    (error: unknown) => send({ kind: 'failed', id: message.id, message: messageOf(error) }),
  );
}

async function execute(
  engine: Engine,
  connections: Connections,
  message: Command,
  { onServing }: WorkerOptions,
): Promise<FromEngine> {
  const { id } = message;
  switch (message.kind) {
    case 'prepare':
      return { kind: 'prepared', id, models: await engine.prepare(message.models) };
    case 'commit':
      engine.commit(message.plan);
      return { kind: 'committed', id };
    case 'snapshot': {
      const snapshot = engine.snapshot();
      // Asked for every second or so.
      if (snapshot.arms.some(({ inferences }) => inferences >= SERVING_ROWS)) onServing();
      return { kind: 'snapshot', id, snapshot };
    }
    case 'drain':
      return { kind: 'drained', id, inFlight: await engine.drain(message.draining, DRAIN_WAIT_MS) };
    case 'stop':
      await connections.drain(() => engine.closeIdle(), STOP_GRACE_MS);
      await engine.stop();
      return { kind: 'stopped', id };
  }
}
