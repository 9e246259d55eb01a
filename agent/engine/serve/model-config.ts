import type { Datatype, TensorSpec } from '../../../protocol/tensor.ts';
import type { ServedArm, ServedDeployment } from './routing.ts';

/** Triton's own name for what runs ONNX models; its clients compare with it. */
const BACKEND = 'onnxruntime';
const PLATFORM = 'onnxruntime_onnx';

/** A model's configuration as Triton's model configuration extension shows it: what a client needs of it. */
export function modelConfig(deployment: ServedDeployment, arm: ServedArm) {
  const { inputs, outputs } = arm.slot.manifest;
  return {
    name: deployment.name,
    platform: PLATFORM,
    backend: BACKEND,
    version_policy: { specific: { versions: deployment.arms.map((each) => each.version) } },
    // Triton's 0: shapes are whole, and no batch dimension is added to them.
    max_batch_size: 0,
    input: inputs.map(tensorConfig),
    output: outputs.map(tensorConfig),
  };
}

function tensorConfig({ name, datatype, shape }: TensorSpec) {
  return { name, data_type: `TYPE_${tritonType(datatype)}`, dims: shape };
}

function tritonType(datatype: Datatype): string {
  return datatype === 'BYTES' ? 'STRING' : datatype;
}
