import { expect, it } from 'vitest';
import { FeatureSteps } from '../../../../agent/engine/features/feature-steps.ts';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { Recorder } from '../../../../agent/engine/observe/recorder.ts';
import { featureLookupSchema } from '../../../../protocol/feature-lookup.ts';
import { windowGrids } from '../../../../protocol/profile.ts';
import { manifestOf, profileOf } from '../../../protocol/documents.ts';
import { startFeatureServer } from '../../../support/feature-server.ts';

const manifest = manifestOf();
const scores: [string, Tensor][] = [
  ['probabilities', { datatype: 'FP32', shape: [3, 2], data: new Float32Array(6) }],
];
const LOOKUP = featureLookupSchema.parse({
  server: 'shop',
  entities: [{ name: 'id', datatype: 'INT64' }],
  // The manifest watches loan_to_value at 2 and score_class at 3.
  columns: [
    { feature: 'v:ltv', tensor: 'features', index: 2, default: 0.7 },
    { feature: 'v:class', tensor: 'features', index: 3, default: 3 },
  ],
  onMissing: 'default',
  cacheMs: 60_000,
});
const given = () =>
  new Map<string, Tensor>([
    ['id', { datatype: 'INT64', shape: [3], data: BigInt64Array.of(1n, 2n, 3n) }],
    ['features', { datatype: 'FP32', shape: [3, 10], data: new Float32Array(30) }],
  ]);
const CALL = { deadlineMs: Number.POSITIVE_INFINITY, headers: null };

it('what was fetched is watched for drift, and what was missing counts as missing', async () => {
  const server = await startFeatureServer({
    '1': { 'v:ltv': 0.4, 'v:class': 1 },
    '2': { 'v:ltv': 0.9, 'v:class': null },
  });
  const steps = new FeatureSteps(new Map([['shop', server.url]]));
  const step = steps.of('loans', LOOKUP, manifest);
  const { inputs, gaps, defaulted } = await step.inputs(given(), CALL);
  expect(defaulted).toBe(3);
  const grids = windowGrids(manifest, profileOf(manifest));
  const recorder = new Recorder('loans', 'sha256:0', 'stable', manifest, grids);
  recorder.answered([{ inputs, outputs: new Map(scores), rows: 3, latencyUs: 100, gaps }]);
  const [ltv, score] = recorder.current.features;
  expect([Array.from(ltv.counts), ltv.missing]).toEqual([[1, 0, 1], 1]);
  expect([Array.from(score.counts), score.missing]).toEqual([[1, 0, 0], 2]);
  steps.close();
  await server.stop();
});

it('what is cached outlives a switch of plans, and not a change of the lookup', async () => {
  const row = { 'v:ltv': 0.4, 'v:class': 1 };
  const server = await startFeatureServer({ '1': row, '2': row, '3': row });
  const steps = new FeatureSteps(new Map([['shop', server.url]]));
  const ask = (lookup = LOOKUP, version = manifest) =>
    steps.of('loans', lookup, version).inputs(given(), CALL);
  await ask();
  expect(steps.of('loans', LOOKUP, manifest)).toBe(steps.of('loans', { ...LOOKUP }, manifest));
  steps.keepOnly(new Set(['loans']));
  await ask(LOOKUP, { ...manifest });
  expect(server.questions).toHaveLength(1);
  await ask({ ...LOOKUP, cacheMs: 1000 });
  expect(server.questions).toHaveLength(2);
  steps.keepOnly(new Set());
  await ask({ ...LOOKUP, cacheMs: 1000 });
  expect(server.questions).toHaveLength(3);
  steps.close();
  await server.stop();
});
