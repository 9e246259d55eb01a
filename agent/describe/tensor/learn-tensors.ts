import type { Manifest } from '../../../protocol/manifest.ts';
import { rowWidth } from '../../../protocol/manifest.ts';
import type { TensorLayout, WatchedTensorSpec } from '../../../protocol/tensor-profile.ts';
import { AgentError } from '../../error.ts';
import { learnImageLayout } from './image-layout.ts';
import { type LearnedTensor, learnTensor, type TensorBatch } from './learn-tensor.ts';

/** Learns every tensor that the manifest has watched as a whole. Throws `AgentError` 'configuration'. */
export function learnTensors(manifest: Manifest, batches: readonly TensorBatch[]): LearnedTensor[] {
  return (manifest.tensors ?? []).map((spec) =>
    learnTensor(spec, layoutOf(spec, manifest, batches), batches),
  );
}

function layoutOf(
  spec: WatchedTensorSpec,
  manifest: Manifest,
  batches: readonly TensorBatch[],
): TensorLayout {
  if (spec.kind === 'image') return learnImageLayout(spec, batches);
  const specs = spec.side === 'input' ? manifest.inputs : manifest.outputs;
  const elements = rowWidth(specs.find(({ name }) => name === spec.name)?.shape ?? []);
  if (elements !== null) return { kind: 'vector', elements };
  throw new AgentError(
    'configuration',
    `tensor "${spec.name}" has rows of no fixed width, so it can't be watched as an embedding`,
  );
}
