import { expect, it } from 'vitest';
import { featureLookupSchema } from '../../../../protocol/feature-lookup.ts';
import { startFeatureServer } from '../../../support/feature-server.ts';
import { startOipEngine } from '../../../support/oip-engine.ts';
import { identityModel } from '../../../support/onnx-builder.ts';

it('a version that leaves while features are fetched for it still answers', async () => {
  const server = await startFeatureServer({ '7': { 'v:a': 1.5 } });
  const features = featureLookupSchema.parse({
    server: 'shop',
    entities: [{ name: 'id', datatype: 'INT64' }],
    columns: [{ feature: 'v:a', tensor: 'x' }],
    timeoutMs: 10_000,
  });
  const model = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, 1] }]);
  const served = await startOipEngine(
    { rides: model },
    1e6,
    { rides: { features } },
    {
      featureServers: new Map([['shop', server.url]]),
    },
  );
  let answer = () => {};
  server.behaviour = (_res, ready) => {
    answer = ready;
  };
  const inputs = [{ name: 'id', datatype: 'INT64', shape: [1], data: [7] }];
  const pending = fetch(`${served.url}/v2/models/rides/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs }),
  });
  await server.asked(1);
  served.engine.commit({ agent: 'agt_0123456789abcdef01234567', generation: 2, deployments: [] });
  answer();
  const response = await pending;
  expect(response.status).toBe(200);
  expect(await response.json()).toMatchObject({
    parameters: { generation: 1 },
    outputs: [{ data: [1.5] }],
  });
  await served.stop();
  await server.stop();
});
