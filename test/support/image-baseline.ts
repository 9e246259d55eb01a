import { inferWatchedTensors } from '../../agent/describe/infer-manifest.ts';
import type { NpyArray } from '../../agent/describe/npy.ts';
import { buildProfile } from '../../agent/describe/profile-builder.ts';
import { tensorBaseline } from '../../agent/describe/tensor-baseline.ts';
import { createNodeRuntime } from '../../agent/engine/model/runtime-node.ts';
import { TensorObserver } from '../../agent/engine/observe/tensors.ts';
import type { Manifest, ManifestDraft } from '../../protocol/manifest.ts';
import {
  checkProfileAgainstManifest,
  encodeProfile,
  parseProfile,
} from '../../protocol/profile.ts';
import { emptyTensorSketch } from '../../protocol/sketch/tensor-sketch.ts';
import { tensorGridOf, type WatchedTensor } from '../../protocol/tensor-profile.ts';
import { buildModel, identityModel } from './onnx-builder.ts';
import { seeded } from './random-models.ts';

const random = seeded(21);
export const SIDE = 16;
const CHANNELS = 3;

/** A bright disc somewhere on a shaded ground, with noise: [count, 3, 16, 16]. `dim` and `fog` as cameras do it. */
export function images(count: number, { dim = 1, fog = 0, last = false } = {}): NpyArray {
  const area = SIDE * SIDE;
  const data = new Float32Array(count * CHANNELS * area);
  for (let image = 0; image < count; image += 1) {
    const [x, y, tint] = [random() * SIDE, random() * SIDE, random()];
    for (let place = 0; place < area; place += 1) {
      const [row, column] = [Math.floor(place / SIDE), place % SIDE];
      const disc = (row - y) ** 2 + (column - x) ** 2 < 16 ? 0.5 : 0;
      for (let channel = 0; channel < CHANNELS; channel += 1) {
        const colour = disc * (channel === 0 ? tint : 1 - tint) + (0.3 * row) / SIDE;
        const value = dim * (colour + 0.1 * random()) * (1 - fog) + fog * 0.4;
        const at = last ? place * CHANNELS + channel : channel * area + place;
        data[image * CHANNELS * area + at] = value;
      }
    }
  }
  const shape = last ? [count, SIDE, SIDE, CHANNELS] : [count, CHANNELS, SIDE, SIDE];
  return { datatype: 'FP32', shape, data };
}

/** The profile of a model that gives its one input back. */
export async function profileOf(
  array: NpyArray,
  draft: ManifestDraft = {},
  shape = array.shape.slice(1),
) {
  const spec = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, ...shape] }]);
  const { described, warnings } = inferWatchedTensors(spec, draft, array);
  const manifest: Manifest = {
    ...{ schema: 1, model: 'm', files: [], ...described },
    ...{ inputs: [...spec.inputs], outputs: [...spec.outputs] },
  };
  const session = await (await createNodeRuntime()).open(buildModel(spec));
  try {
    const baseline = tensorBaseline(array, spec.inputs, 'x.npy');
    const profile = parseProfile(encodeProfile(await buildProfile(session, manifest, baseline)));
    checkProfileAgainstManifest(profile, manifest);
    return { profile, warnings, manifest };
  } finally {
    await session.release();
  }
}

/** What a host counts of these rows, every one looked at. */
export function counted(watched: WatchedTensor, later: NpyArray) {
  const sketch = emptyTensorSketch(tensorGridOf(watched));
  const inputs = new Map([['x', { ...later }]]);
  const answer = { inputs, outputs: new Map(), rows: later.shape[0] };
  new TensorObserver([watched], 1).answered([answer], [sketch]);
  return sketch;
}
