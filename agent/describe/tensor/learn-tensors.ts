import type { Manifest } from '../../../protocol/manifest.ts';
import { rowWidth } from '../../../protocol/manifest.ts';
import { AgentError } from '../../error.ts';
import { type LearnedTensor, learnTensor, type TensorBatch } from './learn-tensor.ts';

/** Learns every tensor that the manifest has watched as a whole. Throws `AgentError` 'configuration'. */
export function learnTensors(manifest: Manifest, batches: readonly TensorBatch[]): LearnedTensor[] {
  return (manifest.tensors ?? []).map((spec) => {
    const specs = spec.side === 'input' ? manifest.inputs : manifest.outputs;
    const elements = rowWidth(specs.find(({ name }) => name === spec.name)?.shape ?? []);
    if (spec.kind === 'image' || elements === null) {
      throw new AgentError(
        'configuration',
        `tensor "${spec.name}" can't be learned from a CSV: that takes an embedding of a fixed width, as input or output`,
      );
    }
    return learnTensor(spec, { kind: 'vector', elements }, batches);
  });
}
