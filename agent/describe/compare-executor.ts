import type { Manifest } from '../../protocol/manifest.ts';
import { agrees } from '../engine/model/executor/admit-executor.ts';
import { compile } from '../engine/model/executor/compile.ts';
import {
  disagreement,
  EXECUTOR_VERSION,
  type ExecutorRecord,
} from '../engine/model/executor/executor-record.ts';
import type { Session, Tensor } from '../engine/model/runtime.ts';
import { type Baseline, type BaselineChunk, baselineChunks } from './baseline.ts';

/** Runs every row of the baseline on the executor and on ONNX Runtime, a chunk at a time. */
export async function compareExecutor(
  model: Uint8Array,
  reference: Session,
  { inputs }: Manifest,
  baseline: Baseline,
): Promise<ExecutorRecord> {
  const compilation = compile(model);
  if (compilation.kind === 'unsupported') return disagreement(0, compilation.reason);
  const progress = { rows: 0, first: 1 };
  const samples = counted(baselineChunks(baseline, inputs), progress);
  const agreement = await agrees(compilation.model, reference, samples);
  if (agreement.kind === 'differs') {
    const { rows, first } = progress;
    return disagreement(rows, `rows ${first} to ${rows}, ${agreement.reason}`);
  }
  return {
    version: EXECUTOR_VERSION,
    rows: progress.rows,
    largestDifference: agreement.largestDifference,
    agrees: true,
  };
}

function* counted(
  chunks: Iterable<BaselineChunk>,
  progress: { rows: number; first: number },
): Generator<ReadonlyMap<string, Tensor>> {
  for (const { inputs, rows } of chunks) {
    progress.first = progress.rows + 1;
    progress.rows += rows;
    yield inputs;
  }
}
