import { expect, it } from 'vitest';
import { pipelineManifest } from '../../../agent/describe/pipeline-manifest.ts';
import { bytesOf, documentOf, FEATURES, SCORE, step } from '../../protocol/pipeline/documents.ts';

const file = { role: 'pipeline' as const, digest: `sha256:${'0'.repeat(64)}`, sizeBytes: 1 };
const graph = bytesOf(documentOf({ main: step('loans') }));

it('PIPELINE-50: a manifest of a pipeline says what it watches and which deployments it calls', () => {
  const { manifest, warnings } = pipelineManifest('graph', graph, file, {
    features: [{ name: 'income', tensor: 'x', index: 2, kind: 'numeric' }],
  });
  expect(manifest).toMatchObject({
    ...{ model: 'graph', task: 'regression', files: [file], steps: ['loans'] },
    ...{ inputs: [FEATURES], outputs: [SCORE] },
    prediction: { tensor: 'y', index: 0, kind: 'value' },
  });
  expect(warnings).toEqual([expect.stringContaining('has no baseline')]);
});

it('PIPELINE-51: a draft that points past its tensors is refused', () => {
  const features = [{ name: 'income', tensor: 'x', index: 3, kind: 'numeric' as const }];
  expect(() => pipelineManifest('graph', graph, file, { features })).toThrow(/index 3/);
});
