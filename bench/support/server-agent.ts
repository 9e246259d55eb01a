import { Engine } from '../../agent/engine/engine.ts';
import type { ModelFiles } from '../../agent/engine/messages.ts';
import { createNodeRuntime } from '../../agent/engine/model/runtime-node.ts';
import { Recorder } from '../../agent/engine/observe/recorder.ts';
import { letHeapGrow } from '../../agent/heap.ts';
import { MIN_WINDOW_MS } from '../../protocol/limits.ts';
import type { Serving } from '../../protocol/serving.ts';
import { decodeWindow } from '../../protocol/sketch/codec.ts';
import { answerCommands } from './child.ts';
import { type ServerAnswer, type ServerCommand, usage } from './server-protocol.ts';

/** What the engine under test serves: one model, as version 1 of a deployment. */
export interface AgentSetup {
  readonly name: string;
  readonly files: ModelFiles;
  readonly serving: Serving;
  /** The price of counting is what a server that doesn't count saves; nobody else may turn it off. */
  readonly observing: boolean;
  /** What it listens to; REST where nothing is said. */
  readonly transport?: 'grpc';
}

/** The agent's engine as its worker process runs it, with a profile, so that every answer is counted. */
const { name, files, serving, observing, transport } = JSON.parse(process.argv[2]) as AgentSetup;
// As an engine does when it begins to serve for a living.
letHeapGrow();
if (!observing) Recorder.prototype.answered = () => undefined;
const windows: Uint8Array[] = [];
const engine = new Engine({
  runtime: await createNodeRuntime(),
  ordinal: 0,
  version: '0.0.0',
  maxBodyBytes: 64 * 1024 * 1024,
  share: { engines: 1, cores: 1 },
  onWindow: ({ body }) => windows.push(body),
});

const { placement, workers, intraOpThreads, providers } = serving;
const execution = { placement, workers, intraOpThreads, providers };
const [prepared] = await engine.prepare([{ files, execution }]);
if (prepared.outcome === 'refused') throw new Error(`${prepared.code}: ${prepared.detail}`);
engine.commit({
  agent: 'agt_0123456789abcdef01234567',
  generation: 1,
  deployments: [
    {
      name,
      // The shortest window there is: cut and encoded as often as can be asked for.
      windowMs: MIN_WINDOW_MS,
      serving,
      arms: [{ arm: 'stable', version: 1, manifest: files.manifest, share: 1 }],
    },
  ],
});
const host = '127.0.0.1';
const port = await (transport === 'grpc' ? engine.listenGrpc(host, 0) : engine.listen(host, 0));

async function finish(): Promise<ServerAnswer> {
  await engine.stop();
  const observedRows = windows.reduce((rows, body) => rows + decodeWindow(body).rows, 0);
  return { kind: 'finished', observedRows };
}

answerCommands<ServerCommand, ServerAnswer>({ kind: 'listening', port }, async ({ kind }) =>
  kind === 'usage' ? usage() : finish(),
);
