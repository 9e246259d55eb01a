import { readFile } from 'node:fs/promises';
import type { Manifest } from '../../../protocol/manifest.ts';
import { checkManifestAgainstPipeline } from '../../../protocol/pipeline/manifest-fits.ts';
import { type PipelinePlan, parsePipeline } from '../../../protocol/pipeline/plan.ts';
import { windowGrids } from '../../../protocol/profile.ts';
import { AgentError, messageOf, Refusal } from '../../error.ts';
import type { ModelFiles } from '../messages.ts';
import type { Session } from '../model/runtime.ts';
import { type Placement, Slot } from '../model/slot.ts';

/** A pipeline computes nothing itself: what it costs and where it runs are its steps' placements. */
const PLACEMENT: Placement = {
  kind: 'inline',
  provider: 'cpu',
  refused: [],
  workers: 0,
  intraOpThreads: 1,
  runUs: null,
  openMs: 0,
  nodes: null,
  executor: 'typescript',
};

const NO_SESSION: Session = {
  provider: 'cpu',
  lanes: 0,
  run: () => Promise.reject(new AgentError('engine', 'a pipeline has no session of its own')),
  release: () => Promise.resolve(),
};

/** A version that is a pipeline. Whether its steps are served shows when it is asked. Throws `Refusal`. */
export async function admitPipeline(files: ModelFiles, manifest: Manifest): Promise<Slot> {
  const pipeline = readPlan(await readFile(files.modelPath), manifest);
  return new Slot({
    manifestDigest: files.manifest,
    manifest,
    grids: windowGrids(manifest, null),
    session: NO_SESSION,
    placement: PLACEMENT,
    rowsIndependent: false,
    pipeline,
  });
}

function readPlan(bytes: Uint8Array, manifest: Manifest): PipelinePlan {
  try {
    const plan = parsePipeline(bytes);
    checkManifestAgainstPipeline(manifest, plan);
    return plan;
  } catch (cause) {
    throw new Refusal('manifest-mismatch', messageOf(cause), { cause });
  }
}
