import { deploymentsOf } from '../../../protocol/pipeline/plan.ts';
import type { Datatype, TensorSpec } from '../../../protocol/tensor.ts';
import type { Placement } from '../model/slot.ts';
import type { ServedArm, ServedDeployment } from './routing.ts';

/** Triton's own name for what runs ONNX models; its clients compare with it. */
const BACKEND = 'onnxruntime';
const PLATFORM = 'onnxruntime_onnx';
/** Triton's name for what is made of other models. */
export const PIPELINE_PLATFORM = 'ensemble';

/** A model's configuration as Triton's model configuration extension shows it: what a client needs of it. */
export function modelConfig(deployment: ServedDeployment, arm: ServedArm) {
  const { placement, pipeline } = arm.slot;
  const { inputs, outputs } = arm.asked;
  return {
    name: deployment.name,
    platform: pipeline === null ? PLATFORM : PIPELINE_PLATFORM,
    backend: pipeline === null ? BACKEND : '',
    version_policy: { specific: { versions: deployment.arms.map((each) => each.version) } },
    // Triton's 0: shapes are whole, and no batch dimension is added to them.
    max_batch_size: 0,
    input: inputs.map(tensorConfig),
    output: outputs.map(tensorConfig),
    instance_group: [
      {
        name: deployment.name,
        kind: placement.provider === 'cpu' ? 'KIND_CPU' : 'KIND_GPU',
        count: Math.max(1, placement.workers),
      },
    ],
    parameters:
      pipeline === null
        ? placementParameters(placement)
        : { 'driftline.steps': { string_value: deploymentsOf(pipeline).join(', ') } },
  };
}

/** What Triton's configuration has no field for: where this version really runs on this host, and why. */
function placementParameters(placement: Placement): Record<string, { string_value: string }> {
  const shown: Record<string, string> = {
    'driftline.placement': placement.kind,
    'driftline.provider': placement.provider,
    'driftline.executor': placement.executor,
    'driftline.intra_op_threads': String(placement.intraOpThreads),
  };
  if (placement.runUs !== null) shown['driftline.warm_up_us'] = placement.runUs.toFixed(1);
  if (placement.nodes !== null) {
    shown['driftline.nodes'] = Object.entries(placement.nodes)
      .map(([provider, count]) => `${provider}: ${count}`)
      .join(', ');
  }
  for (const { provider, reason } of placement.refused) {
    shown[`driftline.refused.${provider}`] = reason;
  }
  return Object.fromEntries(
    Object.entries(shown).map(([name, value]) => [name, { string_value: value }]),
  );
}

function tensorConfig({ name, datatype, shape }: TensorSpec) {
  return { name, data_type: `TYPE_${tritonType(datatype)}`, dims: shape };
}

function tritonType(datatype: Datatype): string {
  return datatype === 'BYTES' ? 'STRING' : datatype;
}
