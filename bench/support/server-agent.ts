import { Engine } from '../../agent/engine/engine.ts';
import type { ModelFiles, ServingPlan } from '../../agent/engine/messages.ts';
import { createNodeRuntime } from '../../agent/engine/model/runtime-node.ts';
import { MIN_WINDOW_MS } from '../../protocol/limits.ts';
import { decodeWindow } from '../../protocol/sketch/codec.ts';
import { answerCommands } from './child.ts';
import { type ServerAnswer, type ServerCommand, usage } from './server-protocol.ts';

/** The agent's engine as its worker process runs it, with a profile, so that every answer is counted. */
const files = JSON.parse(process.argv[2]) as ModelFiles;
const windows: Uint8Array[] = [];
const engine = new Engine({
  runtime: await createNodeRuntime(),
  ordinal: 0,
  version: '0.0.0',
  maxBodyBytes: 64 * 1024 * 1024,
  onWindow: ({ body }) => windows.push(body),
});

const [prepared] = await engine.prepare([files]);
if (prepared.outcome === 'refused') throw new Error(`${prepared.code}: ${prepared.detail}`);
const plan: ServingPlan = {
  agent: 'agt_0123456789abcdef01234567',
  generation: 1,
  deployments: [
    {
      name: 'mortgage',
      // The shortest window there is: cut and encoded as often as can be asked for.
      windowMs: MIN_WINDOW_MS,
      arms: [{ arm: 'stable', version: 1, manifest: files.manifest, share: 1 }],
    },
  ],
};
engine.commit(plan);
const port = await engine.listen('127.0.0.1', 0);

async function finish(): Promise<ServerAnswer> {
  await engine.stop();
  const observedRows = windows.reduce((rows, body) => rows + decodeWindow(body).rows, 0);
  return { kind: 'finished', observedRows };
}

answerCommands<ServerCommand, ServerAnswer>({ kind: 'listening', port }, async ({ kind }) =>
  kind === 'usage' ? usage() : finish(),
);
