import { z } from 'zod';
import { ProtocolError } from './error.ts';
import { digestSchema, featureNameSchema, nameSchema } from './ids.ts';
import { MAX_ARTIFACT_BYTES, MAX_FEATURES, MAX_PIPELINE_NODES, MAX_TENSORS } from './limits.ts';
import type { ModelInfo } from './onnx/model-info.ts';
import { MAX_GROUP_VALUES } from './sketch/group.ts';
import { showShape, type TensorSpec, tensorSpecSchema } from './tensor.ts';
import { MAX_WATCHED_TENSORS, watchedTensorSpecSchema } from './tensor-profile.ts';
import { describe } from './wire.ts';

/** One file of a version. The list is closed: an agent fetches these and nothing else. */
export const manifestFileSchema = z.object({
  role: z.enum(['model', 'pipeline', 'profile', 'golden']),
  digest: digestSchema,
  sizeBytes: z.int().min(1).max(MAX_ARTIFACT_BYTES),
});
export type ManifestFile = z.infer<typeof manifestFileSchema>;

export const taskSchema = z.enum([
  'binary',
  'multiclass',
  'regression',
  'embedding',
  'text',
  'other',
]);

/**
 * A watched column: element `index` of each row of `tensor`. `hashed`: categorical with more values than a dictionary
 * holds; `text`: its length is watched, as a number.
 */
export const featureSchema = z.object({
  name: featureNameSchema,
  tensor: z.string().min(1).max(256),
  index: z.int().min(0),
  kind: z.enum(['numeric', 'categorical', 'hashed', 'text']),
});
export type Feature = z.infer<typeof featureSchema>;

/** Attributes whose groups, and whose pairs of groups, are told apart. */
const MAX_GROUPS = 10;

/**
 * A protected attribute. `feature`: it is the watched feature of that name; `parameter`: requests give it beside the
 * tensors. `column`: where the baseline has it, by default in the column of its own name. `values` or `edges` say how
 * rows are told apart; with neither, the baseline does.
 */
export const groupSchema = z
  .object({
    attribute: featureNameSchema,
    from: z.enum(['feature', 'parameter']),
    column: featureNameSchema.optional(),
    values: z
      .array(z.union([z.string().max(128), z.number()]))
      .min(1)
      .max(MAX_GROUP_VALUES)
      .refine((values) => new Set(values.map(String)).size === values.length, {
        message: 'a value is listed twice',
      })
      .optional(),
    /** Inner edges of intervals closed on the left: [18, 65] makes three groups. */
    edges: z
      .array(z.number())
      .min(1)
      .max(MAX_GROUP_VALUES - 1)
      .refine((edges) => edges.every((edge, at) => at === 0 || edges[at - 1] < edge), {
        message: 'edges must rise',
      })
      .optional(),
  })
  .refine(({ values, edges }) => values === undefined || edges === undefined, {
    message: 'a group has "values" or "edges", not both',
  });
export type Group = z.infer<typeof groupSchema>;

const groupsSchema = z
  .array(groupSchema)
  .max(MAX_GROUPS)
  .refine((all) => new Set(all.map(({ attribute }) => attribute)).size === all.length, {
    message: 'an attribute is listed twice',
  });

/** The truth that comes later. It is never sent to the model. */
export const labelSchema = z.object({
  /** Where the baseline has it, if it has. */
  column: featureNameSchema.optional(),
  /** Of a yes-or-no model: how callers may name 0 and 1. */
  classes: z.tuple([z.string().min(1).max(128), z.string().min(1).max(128)]).optional(),
});
export type Label = z.infer<typeof labelSchema>;

/** Which output is watched. `score`: a probability in [0,1]; `label`: a class id; `value`: any number. */
export const predictionSchema = z.object({
  tensor: z.string().min(1).max(256),
  index: z.int().min(0),
  kind: z.enum(['score', 'label', 'value']),
  threshold: z.number().min(0).max(1).optional(),
  positive: z.string().max(128).optional(),
});
export type Prediction = z.infer<typeof predictionSchema>;

export const manifestSchema = z.object({
  schema: z.literal(1),
  model: nameSchema,
  task: taskSchema,
  files: z.array(manifestFileSchema).min(1).max(16),
  inputs: z.array(tensorSpecSchema).max(MAX_TENSORS),
  outputs: z.array(tensorSpecSchema).min(1).max(MAX_TENSORS),
  features: z.array(featureSchema).max(MAX_FEATURES),
  groups: groupsSchema,
  prediction: predictionSchema.nullable(),
  label: labelSchema.optional(),
  /** Whole tensors that are watched: embeddings and images. */
  tensors: z.array(watchedTensorSpecSchema).max(MAX_WATCHED_TENSORS).optional(),
  /** Deployments that a pipeline calls, in the order of their names; only where there is a pipeline file. */
  steps: z.array(nameSchema).max(MAX_PIPELINE_NODES).optional(),
});
/** What a version is. Its identity is the digest of this document's bytes. */
export type Manifest = z.infer<typeof manifestSchema>;

/** What a person may write in a manifest file; the rest is inferred from the model. */
export const manifestDraftSchema = z.strictObject({
  task: taskSchema.optional(),
  features: z.array(featureSchema).max(MAX_FEATURES).optional(),
  groups: groupsSchema.optional(),
  prediction: predictionSchema.nullable().optional(),
  label: labelSchema.optional(),
  tensors: z.array(watchedTensorSpecSchema).max(MAX_WATCHED_TENSORS).optional(),
});
export type ManifestDraft = z.infer<typeof manifestDraftSchema>;

export function parseManifest(bytes: Uint8Array): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new ProtocolError('manifest', `a manifest of ${bytes.length} bytes is not JSON`, {
      cause,
    });
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    throw new ProtocolError('manifest', `the manifest is invalid: ${describe(parsed.error)}`);
  }
  return parsed.data;
}

export function fileOfRole(manifest: Manifest, role: ManifestFile['role']): ManifestFile | null {
  return manifest.files.find((file) => file.role === role) ?? null;
}

/** Throws `ProtocolError` 'manifest' when the manifest says something that the model file contradicts. */
export function checkManifestAgainstModel(manifest: Manifest, info: ModelInfo): void {
  compareTensors('input', manifest.inputs, info.inputs);
  compareTensors('output', manifest.outputs, info.outputs);
  if (fileOfRole(manifest, 'model') === null) {
    throw new ProtocolError('manifest', 'the manifest lists no file with the role "model"');
  }
  checkWatched(manifest);
}

/** That what is watched lies where there are tensors. Throws `ProtocolError` 'manifest'. */
export function checkWatched(manifest: Manifest): void {
  const names = new Set<string>();
  for (const feature of manifest.features) {
    if (names.has(feature.name)) {
      throw new ProtocolError('manifest', `feature "${feature.name}" is listed twice`);
    }
    names.add(feature.name);
    checkPlace(`feature "${feature.name}"`, feature, manifest.inputs, 'input');
  }
  if (manifest.prediction !== null) {
    checkPlace('the prediction', manifest.prediction, manifest.outputs, 'output');
  }
  for (const { attribute, from } of manifest.groups) {
    if (from === 'parameter' || names.has(attribute)) continue;
    throw new ProtocolError(
      'manifest',
      `group "${attribute}" comes from a feature, but no feature has this name; name one, or set "from" to "parameter"`,
    );
  }
  for (const { name, side } of manifest.tensors ?? []) {
    const tensors = side === 'input' ? manifest.inputs : manifest.outputs;
    checkPlace('a watched tensor', { tensor: name, index: 0 }, tensors, side);
  }
}

function checkPlace(
  what: string,
  place: { tensor: string; index: number },
  tensors: Manifest['inputs'],
  side: string,
): void {
  const tensor = tensors.find((candidate) => candidate.name === place.tensor);
  if (tensor === undefined) {
    const known = tensors.map((candidate) => `"${candidate.name}"`).join(', ');
    throw new ProtocolError(
      'manifest',
      `${what} points at ${side} "${place.tensor}", but the model's ${side}s are ${known}`,
    );
  }
  const width = rowWidth(tensor.shape);
  if (width !== null && place.index >= width) {
    throw new ProtocolError(
      'manifest',
      `${what} is at index ${place.index}, but "${tensor.name}" ${showShape(tensor.shape)} has ${width} values in a row (0 to ${width - 1})`,
    );
  }
}

/** Values per row of a tensor whose first dimension counts rows; null when the shape leaves it open. */
export function rowWidth(shape: readonly number[]): number | null {
  let width = 1;
  for (const dimension of shape.slice(1)) {
    if (dimension === -1) return null;
    width *= dimension;
  }
  return width;
}

/** Throws `ProtocolError` 'manifest' unless both name the same tensors in the same order. */
export function compareTensors(
  side: string,
  claimed: Manifest['inputs'],
  actual: readonly TensorSpec[],
): void {
  const show = (tensors: readonly TensorSpec[]) =>
    tensors.map((t) => `${t.name} ${t.datatype}${showShape(t.shape)}`).join(', ') || 'none';
  const same =
    claimed.length === actual.length &&
    claimed.every((tensor, at) => {
      const other = actual[at];
      return (
        tensor.name === other.name &&
        tensor.datatype === other.datatype &&
        showShape(tensor.shape) === showShape(other.shape)
      );
    });
  if (!same) {
    throw new ProtocolError(
      'manifest',
      `the manifest's ${side}s do not match the model: it says ${show(claimed)}; the model has ${show(actual)}`,
    );
  }
}
