import { describe, expect, it } from 'vitest';
import { desiredDeploymentSchema } from '../../protocol/desired.ts';
import { monitoringInForce, monitoringSchema } from '../../protocol/monitoring.ts';

const rule = { kind: 'rule', name: 'json', rule: 'json-valid', output: 'text' };

describe('DESIRED-15: how a deployment is watched', () => {
  it('has a default for everything', () => {
    expect(monitoringInForce(monitoringSchema.parse({}))).toEqual({
      falseAlarmDays: 30,
      learningWindows: 20,
      seasonal: 'none',
      detectors: [{ kind: 'e-detector' }],
      labels: { keepRows: 1_000_000, maxAgeMs: 60 * 86_400_000 },
      evaluators: [],
      fairness: { differenceLimit: 0.1, ratioLimit: 0.8, reference: {} },
      tensorSample: 1,
    });
  });

  it('is absent in what older control planes signed', () => {
    const manifest = `sha256:${'0'.repeat(64)}`;
    const arms = [{ arm: 'stable', model: 'm', version: 1, manifest, share: 1 }];
    const parsed = desiredDeploymentSchema.parse({ name: 'd', windowMs: 1000, arms });
    expect(parsed.monitoring).toEqual({});
  });

  it.each([
    ['a key that nobody knows', { falseAlarmsPerDay: 1 }],
    ['a budget of less than a day', { falseAlarmDays: 0.5 }],
    ['an evaluator named twice', { evaluators: [rule, rule] }],
    ['a rule without what it needs', { evaluators: [{ ...rule, rule: 'contains' }] }],
    ['a rule with what it does not know', { evaluators: [{ ...rule, maxLength: 3 }] }],
    ['a model evaluator without its deployment', { evaluators: [{ ...rule, kind: 'model' }] }],
    ['an unknown detector', { detectors: [{ kind: 'magic' }] }],
    ['a ratio of 1', { fairness: { ratioLimit: 1 } }],
    ['a share above 1', { tensorSample: 1.1 }],
  ])('refuses %s', (_, value) => {
    expect(monitoringSchema.safeParse(value).success).toBe(false);
  });

  const list = (length: number, of: (at: number) => object) =>
    Array.from({ length }, (_, at) => of(at));
  const named = (at: number) => ({ ...rule, name: `e${at}` });
  const adwin = () => ({ kind: 'adwin' });

  it.each([
    [{ falseAlarmDays: 3650 }, { falseAlarmDays: 3651 }],
    [{ learningWindows: 100_000 }, { learningWindows: 100_001 }],
    [{ labels: { keepRows: 1000 } }, { labels: { keepRows: 999 } }],
    [{ labels: { keepRows: 100_000_000 } }, { labels: { keepRows: 100_000_001 } }],
    [{ labels: { maxAgeMs: 60_000 } }, { labels: { maxAgeMs: 59_999 } }],
    [{ detectors: list(8, adwin) }, { detectors: list(9, adwin) }],
    [{ evaluators: list(16, named) }, { evaluators: list(17, named) }],
    [{ fairness: { differenceLimit: 0.99 } }, { fairness: { differenceLimit: 1 } }],
    [{ tensorSample: 0 }, { tensorSample: -0.1 }],
  ])('takes %j at its bound and not %j past it', (good, bad) => {
    expect(monitoringSchema.safeParse(good).success).toBe(true);
    expect(monitoringSchema.safeParse(bad).success).toBe(false);
  });

  it('takes every detector and evaluator there is', () => {
    const kinds = ['e-detector', 'adwin', 'ddm', 'eddm', 'page-hinkley', 'kswin'];
    const monitoring = {
      detectors: kinds.map((kind) => ({ kind })),
      evaluators: [
        rule,
        { ...rule, name: 'no', rule: 'refusal' },
        { ...rule, name: 'words', rule: 'contains', phrases: ['secret'] },
        { ...rule, name: 'long', rule: 'max-length', maxLength: 100 },
        { ...rule, name: 'facts', rule: 'groundedness', context: 'documents' },
        { kind: 'model', name: 'toxic', output: 'text', deployment: 'toxicity', index: 1 },
      ],
    };
    expect(monitoringSchema.parse(monitoring)).toEqual(monitoring);
  });
});
