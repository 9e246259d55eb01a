import { afterAll, beforeAll, expect, it } from 'vitest';
import { decisionRecordSchema } from '../../../protocol/decision.ts';
import { type LabelHost, startLabelHost } from '../../support/label-host.ts';
import { identityModel } from '../../support/onnx-builder.ts';

const numbers = identityModel([{ name: 'x', datatype: 'FP32', shape: [-1, 1] }]);
const place = { tensor: 'x_out', index: 0 };

let host: LabelHost;
beforeAll(async () => {
  host = await startLabelHost({
    loans: {
      spec: numbers,
      manifest: {
        features: [{ name: 'x', tensor: 'x', index: 0, kind: 'numeric' }],
        prediction: { ...place, kind: 'score', threshold: 0.5 },
        groups: [{ attribute: 'x', from: 'feature', edges: [0.5] }],
      },
    },
    other: { spec: numbers, manifest: { prediction: { ...place, kind: 'value' } } },
  });
});
afterAll(() => host.stop());

async function ask(data: readonly number[]): Promise<string> {
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [data.length, 1], data }];
  const response = await fetch(`${host.url}/v2/models/loans/infer`, {
    method: 'POST',
    body: JSON.stringify({ inputs }),
  });
  const { parameters } = (await response.json()) as { parameters: { decision_id: string } };
  host.remember();
  return parameters.decision_id;
}

it('COMMAND-8: each row of a decision is told as it is remembered: prediction, groups, label', async () => {
  const id = await ask([0.25, 0.75]);
  const first = await host.desk.recall('loans', id, 0);
  expect(decisionRecordSchema.parse(first)).toEqual(first);
  expect(first).toMatchObject({
    ...{ arm: 'stable', row: 0, prediction: 0.25, positive: false, label: null },
    groups: { x: '<0.5' },
  });
  expect(await host.desk.recall('loans', id, 1)).toMatchObject({
    ...{ row: 1, prediction: 0.75, positive: true, groups: { x: '≥0.5' } },
  });
  await host.desk.feedback('loans', [{ by: 'decision', id, row: 1, label: 1 }]);
  expect(await host.desk.recall('loans', id, 1)).toMatchObject({ label: 1 });
});

it('COMMAND-8: a row that is not remembered, and one of another deployment, is null', async () => {
  const id = await ask([0.1]);
  expect(await host.desk.recall('loans', id, 1)).toBeNull();
  expect(await host.desk.recall('other', id, 0)).toBeNull();
  expect(await host.desk.recall('nowhere', id, 0)).toBeNull();
  expect(await host.desk.recall('loans', 'no-id', 0)).toBeNull();
});
