import { afterEach, expect, it } from 'vitest';
import type { EngineTrip } from '../../../../agent/engine/messages.ts';
import { PipelineEngine } from '../../../support/pipeline-engine.ts';
import { FEATURES, failing, inputOf, linear, SCORE } from '../../../support/pipeline-models.ts';

let engine: PipelineEngine;
const trips: EngineTrip[] = [];
afterEach(async () => {
  trips.length = 0;
  await engine.stop();
});

const ROW = [inputOf([[1, 2, 3]])];
const step = (deployment: string) => ({
  ...{ kind: 'step', deployment, inputs: ['x'], outputs: ['score'] },
});
/** A pipeline that goes on without a step that fails. */
const ensemble = (names: readonly string[]) => ({
  ...{ schema: 1, inputs: [FEATURES], outputs: [SCORE], root: 'main' },
  nodes: {
    main: {
      ...{ kind: 'ensemble', members: names.map((node) => ({ node })) },
      ...{ combine: { score: 'mean' }, failure: { policy: 'skip', quorum: 1 } },
    },
    ...Object.fromEntries(names.map((name) => [name, step(name)])),
  },
});

it('a deployment is guarded as a step of a pipeline too: its failures there are its own', async () => {
  engine = await PipelineEngine.start(undefined, { onTrip: (trip) => trips.push(trip) });
  const broken = await engine.model(failing());
  const guard = { maxErrorShare: 0.01, withoutLastGood: 'refuse' as const };
  await engine.deploy({
    good: { versions: { 1: await engine.model(linear([1, 1, 1], 0)) }, guard },
    broken: { versions: { 1: broken }, guard },
    both: { versions: { 1: await engine.pipeline(ensemble(['good', 'broken'])) }, guard },
  });
  for (let k = 0; k < 5; k += 1) {
    expect(await engine.infer('both', ROW)).toMatchObject({
      status: 200,
      outputs: [{ data: [6] }],
    });
  }
  expect(trips).toMatchObject([
    { deployment: 'broken', breach: { threshold: 'errors', bad: 2, code: 'model_failed' } },
  ]);
  expect(await engine.infer('broken', ROW)).toMatchObject({ status: 503, code: 'guard_tripped' });
});

it('its answers there count, too', async () => {
  engine = await PipelineEngine.start(undefined, { onTrip: (trip) => trips.push(trip) });
  const late = { latency: { budgetUs: 1, maxShare: 0 } };
  await engine.deploy({
    late: { versions: { 1: await engine.model(linear([1, 1, 1], 0)) }, guard: late },
    other: await engine.model(linear([3, 3, 3], 0)),
    both: await engine.pipeline(ensemble(['late', 'other'])),
  });
  expect((await engine.infer('both', ROW)).status).toBe(200);
  expect(trips).toMatchObject([
    { deployment: 'late', decision: null, breach: { threshold: 'latency' } },
  ]);
});
