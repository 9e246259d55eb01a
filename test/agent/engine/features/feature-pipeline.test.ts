import { expect, it } from 'vitest';
import { featureLookupSchema } from '../../../../protocol/feature-lookup.ts';
import { startFeatureServer } from '../../../support/feature-server.ts';
import { PipelineEngine } from '../../../support/pipeline-engine.ts';
import { scale } from '../../../support/pipeline-models.ts';

const ID = { name: 'driver', datatype: 'INT64', shape: [-1] };
const Y = { name: 'y', datatype: 'FP32', shape: [-1, 3] };
const DOCUMENT = {
  schema: 1,
  inputs: [ID],
  outputs: [Y],
  root: 'main',
  nodes: {
    main: { kind: 'step', deployment: 'rides', inputs: { id: 'driver' }, outputs: ['y'] },
  },
};
const features = featureLookupSchema.parse({
  server: 'shop',
  entities: [{ name: 'id', datatype: 'INT64' }],
  columns: [0, 1, 2].map((index) => ({ feature: `v:f${index}`, tensor: 'x', index })),
  timeoutMs: 5_000,
});

it('a step of a pipeline fetches its features by the keys that the pipeline gives it', async () => {
  const row = { 'v:f0': 1, 'v:f1': 2, 'v:f2': 3 };
  const server = await startFeatureServer({ '7': row, '8': { ...row, 'v:f2': null } });
  const engine = await PipelineEngine.start(undefined, {
    featureServers: new Map([['shop', server.url]]),
  });
  await engine.deploy({
    rides: { versions: { 1: await engine.model(scale(10)) }, serving: { features } },
    way: await engine.pipeline(DOCUMENT),
  });
  const ask = (id: number) => engine.infer('way', [{ ...ID, shape: [1], data: [id] }]);
  expect(await ask(7)).toMatchObject({ status: 200, outputs: [{ data: [10, 20, 30] }] });
  expect(await ask(8)).toMatchObject({
    status: 422,
    code: 'feature_missing',
    error: expect.stringContaining('step "rides" (version 1): there is no "v:f2" for the key 8'),
  });
  expect(await engine.counted('rides')).toEqual({ rows: 1, calls: 1, failed: 1 });
  await engine.stop();
  await server.stop();
});
