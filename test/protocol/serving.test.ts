import { expect, it } from 'vitest';
import { mergeServing, servingSchema } from '../../protocol/serving.ts';
import { describe as describeIssues } from '../../protocol/wire.ts';

it('values win over those beneath, batching field by field', () => {
  const under = { placement: 'worker', workers: 2, batching: { maxBatchSize: 8 } } as const;
  const over = { workers: 4, batching: { maxQueueDelayUs: 100 } };
  expect(mergeServing(under, over)).toEqual({
    placement: 'worker',
    workers: 4,
    batching: { maxBatchSize: 8, maxQueueDelayUs: 100 },
  });
  expect(mergeServing(under, {})).toEqual(under);
  expect(JSON.stringify(mergeServing({}, {}))).toBe('{}');
});

it('equal values are equal text, in whatever order they were written', () => {
  const one = mergeServing({}, { engines: 2, workers: 1, batching: { timeoutUs: 1 } });
  const other = mergeServing({ workers: 1, batching: { timeoutUs: 1 } }, { engines: 2 });
  expect(JSON.stringify(one)).toBe(JSON.stringify(other));
});

it('a wrong value is named with its place and its bound', () => {
  const input = { batching: { maxBatchSize: 5000 } };
  const { error } = servingSchema.safeParse(input);
  if (error === undefined) throw new Error('5000 was accepted');
  const told = describeIssues(error, input);
  expect(told).toMatch(/^batching\.maxBatchSize: .*4096.*, not 5000$/);
});
