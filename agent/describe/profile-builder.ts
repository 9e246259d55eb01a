import type { Feature, Manifest, Prediction } from '../../protocol/manifest.ts';
import { barePredictionGrid, type Profile } from '../../protocol/profile.ts';
import { dictionaryFromReference } from '../../protocol/sketch/frequency.ts';
import { gridFromReference } from '../../protocol/sketch/grid.ts';
import type { FeatureGrid, WindowGrids, WindowSketch } from '../../protocol/sketch/window.ts';
import type { Session, Tensor } from '../engine/model/runtime.ts';
import { DecisionRecords } from '../engine/observe/decision-record.ts';
import { Recorder } from '../engine/observe/recorder.ts';
import { type Baseline, type BaselineChunk, baselineChunks } from './baseline.ts';
import { countLabels, groupParameters, learnOutcomeGrid } from './outcome-baseline.ts';
import { learnTensors } from './tensor/learn-tensors.ts';

interface Batch extends BaselineChunk {
  readonly outputs: Map<string, Tensor>;
}

/**
 * Runs the model over the baseline and counts it with the agent's own recorder, so that the reference is what a
 * host would have counted. Grids are cut on values as the tensors hold them (FP32 rounds).
 */
export async function buildProfile(
  session: Session,
  manifest: Manifest,
  baseline: Baseline,
): Promise<Profile> {
  const { table } = baseline;
  const batches = await runBaseline(session, manifest, baseline);
  const features = manifest.features.map((feature) => ({
    name: feature.name,
    grid: gridOf(feature, columnValues(batches, feature, 'inputs')),
  }));
  const prediction =
    manifest.prediction === null ? null : predictionGrid(batches, manifest.prediction);
  const predicted =
    manifest.prediction?.kind === 'label'
      ? columnValues(batches, manifest.prediction, 'outputs')
      : [];
  const outcome = learnOutcomeGrid(manifest, table, predicted);
  const learned = learnTensors(manifest, batches);
  const tensors = learned.map(({ watched }) => watched);
  const grids = {
    features: features.map((feature) => feature.grid),
    prediction: prediction ?? barePredictionGrid(null),
    outcome,
  };
  const counted = countBaseline(manifest, baseline, grids, batches);
  const reference = { ...counted, tensors: learned.map((each) => each.reference) };
  return { rows: baseline.rows, features, prediction, outcome, tensors, reference };
}

function countBaseline(
  manifest: Manifest,
  baseline: Baseline,
  grids: WindowGrids,
  batches: readonly Batch[],
): WindowSketch {
  const { table } = baseline;
  const recorder = new Recorder('baseline', '', 'stable', manifest, grids);
  if (recorder.outcomes !== null) recorder.outcomes.keepDecisions = true;
  let from = 0;
  for (const { inputs, outputs, rows } of batches) {
    const parameters = groupParameters(manifest, table, from, from + rows);
    const answer = { inputs, outputs, rows, latencyUs: 0, gaps: null, parameters };
    recorder.answered([{ ...answer, decisionRow: from }]);
    from += rows;
  }
  const window = recorder.counted();
  const records = recorder.outcomes?.takeDecisions() ?? null;
  if (grids.outcome && window.outcome !== null && records !== null) {
    const rows = new DecisionRecords(Buffer.from(records), grids.outcome.axes.length);
    countLabels(manifest, table, grids.outcome, rows, window.outcome);
  }
  return window;
}

async function runBaseline(
  session: Session,
  manifest: Manifest,
  baseline: Baseline,
): Promise<Batch[]> {
  const batches: Batch[] = [];
  for (const chunk of baselineChunks(baseline, manifest.inputs)) {
    batches.push({ ...chunk, outputs: await session.run(chunk.inputs) });
  }
  return batches;
}

function gridOf(feature: Feature, values: (number | string)[]): FeatureGrid {
  if (feature.kind === 'hashed') return { kind: 'hashed' };
  if (feature.kind === 'text') {
    const lengths = values.map((text) => String(text).length);
    return { kind: 'numeric', ...gridFromReference(Float64Array.from(lengths)) };
  }
  if (feature.kind === 'categorical') return { kind: 'categorical', values: dictionary(values) };
  return { kind: 'numeric', ...gridFromReference(Float64Array.from(values, Number)) };
}

/** Scores keep their fixed bins; see `barePredictionGrid`. */
function predictionGrid(batches: readonly Batch[], prediction: Prediction): FeatureGrid {
  if (prediction.kind === 'score') return barePredictionGrid(prediction);
  const values = columnValues(batches, prediction, 'outputs');
  if (prediction.kind === 'label') return { kind: 'categorical', values: dictionary(values) };
  return { kind: 'numeric', ...gridFromReference(Float64Array.from(values, Number)) };
}

function dictionary(values: (number | string)[]): readonly number[] | readonly string[] {
  return typeof values[0] === 'string'
    ? dictionaryFromReference(values.map(String))
    : dictionaryFromReference(values.map(Number));
}

function columnValues(
  batches: readonly Batch[],
  place: { tensor: string; index: number },
  side: 'inputs' | 'outputs',
): (number | string)[] {
  const values: (number | string)[] = [];
  for (const batch of batches) {
    const data = batch[side].get(place.tensor)?.data ?? [];
    const width = data.length / batch.rows;
    for (let row = 0; row < batch.rows; row += 1) {
      const value = data[row * width + place.index];
      values.push(typeof value === 'bigint' ? Number(value) : value);
    }
  }
  return values;
}
