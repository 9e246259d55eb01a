import { expect, it } from 'vitest';
import { PipelineEngine } from '../../../support/pipeline-engine.ts';
import { FEATURES, SCORE } from '../../../support/pipeline-models.ts';

const graph = {
  ...{ schema: 1, inputs: [FEATURES], outputs: [SCORE], root: 'main' },
  nodes: { main: { kind: 'step', deployment: 'a', inputs: ['x'], outputs: ['score'] } },
};

it('PIPELINE-27: a host checks a pipeline again before it serves it', async () => {
  const engine = await PipelineEngine.start();
  const outcomeOf = async (fields: object) => {
    const files = await engine.pipeline(graph, fields);
    const [outcome] = await engine.engine.prepare([{ files, execution: {} }]);
    return outcome;
  };
  expect(await outcomeOf({})).toMatchObject({ outcome: 'ready' });
  expect(await outcomeOf({ steps: ['b'] })).toMatchObject({
    ...{ outcome: 'refused', code: 'manifest-mismatch' },
    detail: "the manifest's steps are b; the pipeline calls a",
  });
  expect(await outcomeOf({ outputs: [FEATURES] })).toMatchObject({ code: 'manifest-mismatch' });
  await engine.stop();
});
