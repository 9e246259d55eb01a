import { z } from 'zod';
import { fromBase64, toBase64 } from './bytes.ts';
import { ProtocolError } from './error.ts';
import { featureNameSchema } from './ids.ts';
import { MAX_FEATURES, MAX_PROFILE_BYTES, MAX_WINDOW_BYTES } from './limits.ts';
import { type Feature, type Manifest, type Prediction, rowWidth } from './manifest.ts';
import { outcomeGridOf, outcomeGridSchema, outcomeKindOf, SCORE_BINS } from './outcome-grid.ts';
import { decodeWindow, encodeWindow, KEPT_FORMAT } from './sketch/codec.ts';
import { MAX_CATEGORIES } from './sketch/frequency.ts';
import { MAX_BINS, uniformGrid } from './sketch/grid.ts';
import { groupCells } from './sketch/group.ts';
import type { OutcomeGrid } from './sketch/outcome.ts';
import {
  emptyWindow,
  type FeatureGrid,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from './sketch/window.ts';
import {
  encodeWatchedTensor,
  MAX_WATCHED_TENSORS,
  parseWatchedTensor,
  tensorGridOf,
  tensorProfileSchema,
  type WatchedTensor,
} from './tensor-profile.ts';
import { describe } from './wire.ts';

const gridSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('numeric'), edges: z.array(z.number()).max(MAX_BINS - 1) }),
  z.object({
    kind: z.literal('categorical'),
    values: z.union([
      z.array(z.number()).max(MAX_CATEGORIES),
      z.array(z.string().max(1024)).max(MAX_CATEGORIES),
    ]),
  }),
  z.object({ kind: z.literal('hashed') }),
]);

const profileFileSchema = z.object({
  schema: z.literal(1),
  rows: z.int().min(1),
  features: z.array(z.object({ name: featureNameSchema, grid: gridSchema })).max(MAX_FEATURES),
  prediction: gridSchema.nullable(),
  /** Absent in what older agents described. */
  outcome: outcomeGridSchema.nullable().default(null),
  tensors: z.array(tensorProfileSchema).max(MAX_WATCHED_TENSORS).default([]),
  reference: z.string(),
});

/** What drift is measured against: the grids, and the baseline counted on them by the agent's own recorder. */
export interface Profile {
  readonly rows: number;
  readonly features: readonly { readonly name: string; readonly grid: FeatureGrid }[];
  readonly prediction: FeatureGrid | null;
  /** Groups and classes as the baseline has them; null in what older agents described, and without a prediction. */
  readonly outcome?: OutcomeGrid | null;
  readonly tensors?: readonly WatchedTensor[];
  readonly reference: WindowSketch;
}

/** Parses `profile.json`. Throws `ProtocolError` 'profile'. */
export function parseProfile(bytes: Uint8Array): Profile {
  if (bytes.length > MAX_PROFILE_BYTES) {
    throw invalid(`has ${bytes.length} bytes, at most ${MAX_PROFILE_BYTES}`);
  }
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw invalid(`is not JSON (${bytes.length} bytes)`, cause);
  }
  const parsed = profileFileSchema.safeParse(value);
  if (!parsed.success) throw invalid(`is invalid: ${describe(parsed.error)}`);
  const file = parsed.data;
  try {
    const features = file.features.map(({ name, grid }) => ({ name, grid: gridOf(name, grid) }));
    const prediction = file.prediction === null ? null : gridOf('prediction', file.prediction);
    const encoded = fromBase64(file.reference);
    // A window of live traffic is as large as the reference: past this bound it could never be sent.
    if (encoded.length > MAX_WINDOW_BYTES) {
      throw invalid(
        `has a reference of ${encoded.length} bytes, at most ${MAX_WINDOW_BYTES} fit the link; watch fewer features`,
      );
    }
    const reference = decodeWindow(encoded);
    const { rows, outcome } = file;
    if (outcome !== null) groupCells(outcome.axes);
    const tensors = file.tensors.map(parseWatchedTensor);
    const profile = { rows, features, prediction, outcome, tensors, reference };
    checkReference(profile);
    return profile;
  } catch (cause) {
    if (cause instanceof ProtocolError) throw cause;
    throw invalid(`is invalid: ${cause instanceof Error ? cause.message : String(cause)}`, cause);
  }
}

export function encodeProfile(profile: Profile): Uint8Array {
  const plain = (grid: FeatureGrid) =>
    grid.kind === 'numeric' ? { kind: grid.kind, edges: Array.from(grid.edges) } : grid;
  const file = {
    schema: 1,
    rows: profile.rows,
    features: profile.features.map(({ name, grid }) => ({ name, grid: plain(grid) })),
    prediction: profile.prediction === null ? null : plain(profile.prediction),
    outcome: profile.outcome ?? null,
    tensors: (profile.tensors ?? []).map(encodeWatchedTensor),
    reference: toBase64(encodeWindow(profile.reference, KEPT_FORMAT)),
  };
  return new TextEncoder().encode(JSON.stringify(file));
}

/** Throws `ProtocolError` 'profile' when the profile was made for other features than the manifest's. */
export function checkProfileAgainstManifest(profile: Profile, manifest: Manifest): void {
  const { features } = profile;
  const same =
    features.length === manifest.features.length &&
    manifest.features.every((wanted, at) => {
      return wanted.name === features[at].name && gridKindOf(wanted) === features[at].grid.kind;
    });
  if (!same) {
    const named = features.map((f) => `${f.name} (${f.grid.kind})`).join(', ');
    const wanted = manifest.features.map((f) => `${f.name} (${f.kind})`).join(', ');
    throw invalid(`does not match the manifest: it describes ${named}; the manifest has ${wanted}`);
  }
  if ((profile.prediction === null) !== (manifest.prediction === null)) {
    throw invalid('and the manifest disagree on whether there is a prediction');
  }
  checkOutcome(profile, manifest);
}

/** That groups and outcomes are those of the manifest. Throws `ProtocolError` 'profile'. */
function checkOutcome({ outcome = null }: Profile, manifest: Manifest): void {
  if (outcome === null) return;
  const kind = outcomeKindOf(manifest);
  if (outcome.kind !== kind) {
    throw invalid(`counts ${outcome.kind} outcomes; those of the manifest are ${kind ?? 'none'}`);
  }
  const counted = outcome.axes.map(({ attribute }) => attribute).join(', ');
  const wanted = manifest.groups.map(({ attribute }) => attribute).join(', ');
  if (counted !== wanted) {
    throw invalid(
      `has groups of ${counted || 'no attribute'}; the manifest has ${wanted || 'none'}`,
    );
  }
}

/** How the values of a feature are counted: of a text, its length is. */
function gridKindOf({ kind }: Feature): string {
  return kind === 'text' ? 'numeric' : kind;
}

/** Where the windows of a version are counted, with or without a profile. */
export function windowGrids(manifest: Manifest, profile: Profile | null): WindowGrids {
  return {
    features:
      profile === null ? manifest.features.map(bareGrid) : profile.features.map((f) => f.grid),
    prediction: profile?.prediction ?? barePredictionGrid(manifest.prediction),
    outcome: profile?.outcome ?? outcomeGridOf(manifest, null),
    tensors: profile?.tensors?.map(tensorGridOf) ?? [],
  };
}

/** Scores need no baseline; values and labels without one are only counted. */
export function barePredictionGrid(prediction: Prediction | null): FeatureGrid {
  if (prediction?.kind === 'score') return { kind: 'numeric', ...uniformGrid(0, 1, SCORE_BINS) };
  if (prediction?.kind === 'label') return { kind: 'categorical', values: [] };
  return { kind: 'numeric', edges: new Float64Array(0) };
}

function bareGrid(feature: Feature): FeatureGrid {
  if (feature.kind === 'hashed') return { kind: 'hashed' };
  if (feature.kind === 'categorical') return { kind: 'categorical', values: [] };
  return { kind: 'numeric', edges: new Float64Array(0) };
}

/** Rows in a request, from the shape of its first input; 1 where the model takes no batch. */
export function rowsOf(manifest: Manifest, shapes: ReadonlyMap<string, readonly number[]>): number {
  const tensor = rowTensorOf(manifest);
  return (tensor === null ? undefined : shapes.get(tensor)?.[0]) ?? 1;
}

/** The input whose first dimension counts rows; null where a request is always one row. */
export function rowTensorOf(manifest: Manifest): string | null {
  const tensor = manifest.features[0]?.tensor ?? manifest.inputs[0]?.name;
  const spec = manifest.inputs.find((input) => input.name === tensor);
  if (spec === undefined || spec.shape.length === 0) return null;
  return rowWidth(spec.shape) === null && spec.shape[0] !== -1 ? null : spec.name;
}

function gridOf(name: string, grid: z.infer<typeof gridSchema>): FeatureGrid {
  if (grid.kind !== 'numeric') return grid;
  const edges = Float64Array.from(grid.edges);
  const rising = edges.every((edge, at) => at === 0 || edges[at - 1] < edge);
  if (!rising || !edges.every(Number.isFinite)) {
    throw invalid(`has edges for "${name}" that do not rise`);
  }
  return { kind: 'numeric', edges };
}

function checkReference(profile: Profile): void {
  // Merging into an empty window of these grids is the check that counting and comparing will work.
  const prediction = profile.prediction ?? { kind: 'numeric', edges: new Float64Array(0) };
  const empty = emptyWindow({
    features: profile.features.map((f) => f.grid),
    prediction,
    outcome: profile.outcome,
    tensors: (profile.tensors ?? []).map(tensorGridOf),
  });
  mergeWindow(empty, profile.reference);
}

function invalid(what: string, cause?: unknown): ProtocolError {
  return new ProtocolError('profile', `the profile ${what}`, { cause });
}
