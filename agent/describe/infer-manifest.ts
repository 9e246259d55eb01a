import type { Feature, ManifestDraft, Prediction } from '../../protocol/manifest.ts';
import { rowWidth } from '../../protocol/manifest.ts';
import { showShape, type TensorSpec } from '../../protocol/tensor.ts';
import { AgentError } from '../error.ts';
import type { CsvTable } from './csv.ts';

type Described = Required<Pick<ManifestDraft, 'task' | 'features' | 'groups' | 'prediction'>> &
  Pick<ManifestDraft, 'label' | 'tensors'>;

/** A column with no more distinct whole numbers than this is a code, not a measurement. */
const MAX_CODE_VALUES = 10;

/** What a model takes and gives, and a pipeline too. */
interface Tensors {
  readonly inputs: readonly TensorSpec[];
  readonly outputs: readonly TensorSpec[];
}

/**
 * What the author did not write, read off the model and the baseline. What can't be inferred is asked for in one
 * error (`AgentError` 'configuration') that says what to write where; what was guessed comes back as warnings.
 */
export function inferManifest(
  info: Tensors,
  draft: ManifestDraft,
  baseline: CsvTable | null,
): { described: Described; warnings: string[] } {
  const warnings: string[] = [];
  const prediction =
    draft.prediction !== undefined ? draft.prediction : inferPrediction(info, warnings);
  const described: Described = {
    task: draft.task ?? taskOf(prediction),
    features: draft.features ?? inferFeatures(info, baseline, warnings),
    groups: draft.groups ?? [],
    prediction,
    ...(draft.label === undefined ? {} : { label: draft.label }),
    ...(draft.tensors === undefined ? {} : { tensors: draft.tensors }),
  };
  return { described, warnings };
}

/**
 * The same where the baseline is tensors and no columns: they are watched as a whole, as images where a row has a height and
 * a width, and else as embeddings.
 */
export function inferWatchedTensors(
  info: Tensors,
  draft: ManifestDraft,
  { shape }: { readonly shape: readonly number[] },
): { described: Described; warnings: string[] } {
  const features = draft.features ?? [];
  const inferred = inferManifest(info, { ...draft, features }, null);
  const [input] = info.inputs;
  if (input === undefined || draft.tensors !== undefined) return inferred;
  const kind =
    shape.length === 3 || shape.length === 4 ? ('image' as const) : ('embedding' as const);
  const tensors = [{ name: input.name, side: 'input' as const, kind }];
  const guessed = `input "${input.name}" is watched as ${kind === 'image' ? 'images' : 'embeddings'}; "tensors" in the manifest says otherwise`;
  return {
    described: { ...inferred.described, tensors },
    warnings: [...inferred.warnings, guessed],
  };
}

function taskOf(prediction: Prediction | null): Described['task'] {
  if (prediction?.kind === 'score') return 'binary';
  if (prediction?.kind === 'label') return 'multiclass';
  return prediction?.kind === 'value' ? 'regression' : 'other';
}

function inferPrediction(info: Tensors, warnings: string[]): Prediction | null {
  const floats = info.outputs.filter((output) => /^FP(32|64)$/.test(output.datatype));
  const pair = floats.find((output) => output.shape.length === 2 && output.shape[1] === 2);
  if (pair !== undefined) {
    return { tensor: pair.name, index: 1, kind: 'score', threshold: 0.5 };
  }
  const label = info.outputs.find((output) => /^(INT64|INT32|BYTES)$/.test(output.datatype));
  if (label !== undefined) return { tensor: label.name, index: 0, kind: 'label' };
  const value = floats.find((output) => rowWidth(output.shape) === 1);
  if (value !== undefined) return { tensor: value.name, index: 0, kind: 'value' };
  warnings.push(
    'no output looks like a score, label or value, so predictions are not watched; name one with "prediction" in the manifest',
  );
  return null;
}

function inferFeatures(info: Tensors, baseline: CsvTable | null, warnings: string[]): Feature[] {
  if (baseline === null) {
    warnings.push('no baseline was given: requests are counted, but input drift is not measured');
    return [];
  }
  const places = placesOf(info.inputs);
  const named = places.filter(({ name }) => baseline.columns.includes(name));
  if (named.length === places.length && places.length > 0) {
    return places.map(({ name, tensor, index }) => feature(name, tensor, index, baseline));
  }
  if (places.length === baseline.columns.length) {
    return places.map(({ tensor, index }, at) =>
      feature(baseline.columns[at], tensor, index, baseline),
    );
  }
  const inputs = info.inputs.map((i) => `${i.name}${showShape(i.shape)}`).join(', ');
  throw new AgentError(
    'configuration',
    `the baseline has ${baseline.columns.length} columns (${baseline.columns.slice(0, 20).join(', ')}) and the model takes ${places.length} values a row (${inputs}); say which column is which in a manifest: {"features":[{"name":"<column>","tensor":"${info.inputs[0]?.name ?? ''}","index":0,"kind":"numeric"}, ...]}`,
  );
}

/** Every value of a row, by the column name it would have: the tensor's own for [N,1] and [N], else none. */
function placesOf(
  inputs: readonly TensorSpec[],
): { name: string; tensor: string; index: number }[] {
  return inputs.flatMap((input) => {
    const width = rowWidth(input.shape) ?? 0;
    return Array.from({ length: width }, (_, index) => ({
      name: width === 1 ? input.name : '',
      tensor: input.name,
      index,
    }));
  });
}

function feature(name: string, tensor: string, index: number, baseline: CsvTable): Feature {
  const column = baseline.columns.indexOf(name);
  const distinct = new Set(baseline.rows.map((row) => row[column]));
  const codes = distinct.size <= MAX_CODE_VALUES && [...distinct].every((v) => /^-?\d+$/.test(v));
  const text = [...distinct].some((value) => value !== '' && !Number.isFinite(Number(value)));
  return { name, tensor, index, kind: codes || text ? 'categorical' : 'numeric' };
}
