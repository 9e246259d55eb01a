import { InferenceSession, Tensor } from 'onnxruntime-node';
import { answerCommands } from './child.ts';

/** A model called again and again in a process that does nothing else: what there is to reach. */
export interface RunLoopSetup {
  readonly modelPath: string;
  /** Of the only input. */
  readonly shape: readonly number[];
  readonly intraOpThreads: number;
}

export interface RunLoopCommand {
  readonly durationMs: number;
}

export interface RunLoopResult {
  readonly runs: number;
  readonly perSecond: number;
}

const { modelPath, shape, intraOpThreads } = JSON.parse(process.argv[2]) as RunLoopSetup;
const session = await InferenceSession.create(modelPath, {
  intraOpNumThreads: intraOpThreads,
  interOpNumThreads: 1,
  executionMode: 'sequential',
  logSeverityLevel: 3,
});
const count = shape.reduce((product, size) => product * size, 1);
const values = Float32Array.from({ length: count }, (_, at) => Math.sin(at));
const feeds = { [session.inputNames[0]]: new Tensor('float32', values, shape) };

async function run({ durationMs }: RunLoopCommand): Promise<RunLoopResult> {
  const startedAt = performance.now();
  let runs = 0;
  let elapsed = 0;
  while (elapsed < durationMs) {
    await session.run(feeds);
    runs += 1;
    elapsed = performance.now() - startedAt;
  }
  return { runs, perSecond: (runs * 1000) / elapsed };
}

answerCommands<RunLoopCommand, RunLoopResult>({ runs: 0, perSecond: 0 }, run);
