import { messageOf } from '../error.ts';
import { Engine } from './engine.ts';
import type { FromEngine, ToEngine } from './messages.ts';
import { createNodeRuntime } from './model/runtime-node.ts';

export interface WorkerOptions {
  readonly ordinal: number;
  readonly version: string;
  readonly maxBodyBytes: number;
}

/** The body of an engine process: an `Engine` driven by the supervisor's messages. */
export async function runEngineWorker(options: WorkerOptions): Promise<void> {
  const send = (message: FromEngine) => process.send?.(message);
  const runtime = await createNodeRuntime();
  const engine = new Engine({ ...options, runtime, onWindow: send });
  process.on('message', (message: ToEngine) => {
    void handle(engine, message).then(send, (error: unknown) =>
      send({ kind: 'failed', id: message.id, message: messageOf(error) }),
    );
  });
  send({ kind: 'started' });
  // Ctrl-C reaches the whole process group; the supervisor decides when engines stop.
  process.on('SIGINT', () => undefined);
  process.on('SIGTERM', () => undefined);
}

async function handle(engine: Engine, message: ToEngine): Promise<FromEngine> {
  const { id } = message;
  switch (message.kind) {
    case 'prepare':
      return { kind: 'prepared', id, models: await engine.prepare(message.models) };
    case 'commit':
      engine.commit(message.plan);
      return { kind: 'committed', id };
    case 'listen':
      return { kind: 'listening', id, port: await engine.listen(message.host, message.port) };
    case 'stop':
      await engine.stop();
      return { kind: 'stopped', id };
  }
}
