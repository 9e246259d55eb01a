import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MAX_SCORED_CHARACTERS, ruleOf } from '../../../../agent/engine/evaluate/rules.ts';
import { Sampler, seedOf } from '../../../../agent/engine/evaluate/sampler.ts';
import type { RuleEvaluator } from '../../../../protocol/evaluator.ts';

const common = { kind: 'rule', name: 'r', output: 'text' } as const;
const json: RuleEvaluator = { ...common, rule: 'json-valid' };
const refusal: RuleEvaluator = { ...common, rule: 'refusal' };
const contains: RuleEvaluator = { ...common, rule: 'contains', phrases: ['a.c', 'Straße', '('] };
const long: RuleEvaluator = { ...common, rule: 'max-length', maxLength: 5 };
const facts: RuleEvaluator = { ...common, rule: 'groundedness', context: 'documents' };

describe('rules', () => {
  it.each<[RuleEvaluator, string, number, string[]?]>([
    [json, '{"a": [1, null]}', 0],
    [json, '{"a": 1,}', 1],
    [json, '', 1],
    [refusal, 'I’m  sorry, but I can’t help with that.', 1],
    [refusal, 'I cannot recommend this book enough', 0],
    [refusal, `${'x'.repeat(300)} I cannot help`, 0],
    [{ ...refusal, phrases: ['kann ich nicht'] }, 'Das KANN ich nicht sagen', 1],
    [{ ...refusal, phrases: ['kann ich nicht'] }, 'I cannot help', 0],
    [contains, 'xx A.C xx', 1],
    [contains, 'abc', 0],
    [contains, 'in der STRAßE', 1],
    [contains, 'f(x)', 1],
    [long, '12345', 0],
    [long, '123456', 1],
    [facts, 'The loan of Anna', 0, ['Anna has a loan']],
    [facts, 'The loan of Bert', 0.5, ['Anna has a loan']],
    [facts, 'Bert owes 900', 1, []],
    [facts, 'it is what it was', 0, []],
  ])('%j scores %j with %d', (config, answer, score, context = []) => {
    expect(ruleOf(config)(answer, context)).toBe(score);
  });

  it('score any text from 0 to 1, up to a bound with its context, and null past it', () => {
    for (const config of [json, refusal, contains, long, facts]) {
      const rule = ruleOf(config);
      fc.assert(
        fc.property(fc.string(), fc.array(fc.string()), (text, context) => {
          const score = rule(text, context) ?? -1;
          expect(score >= 0 && score <= 1).toBe(true);
        }),
        { numRuns: 50 },
      );
    }
    const text = 'a '.repeat(MAX_SCORED_CHARACTERS / 2);
    for (const config of [json, contains, facts]) {
      expect(ruleOf(config)(text, [])).not.toBeNull();
      expect(ruleOf(config)(text, ['b'])).toBeNull();
    }
    expect(ruleOf(long)(`${text}!`, [])).toBe(1);
  });
});

describe('a sample', () => {
  function drawn(share: number, sizes: readonly number[], seed = seedOf('d\ne')): number[] {
    const sampler = new Sampler(share, seed);
    const found: number[] = [];
    let before = 0;
    for (const size of sizes) {
      let at = sampler.next(0, size);
      for (; at >= 0; at = sampler.next(at + 1, size)) found.push(before + at);
      before += size;
    }
    return found;
  }

  it('is all of a share of 1, nothing of 0, and the same for the same seed however it is cut', () => {
    expect(drawn(1, [3, 0, 2])).toEqual([0, 1, 2, 3, 4]);
    expect(drawn(0, [1000])).toEqual([]);
    fc.assert(
      fc.property(
        fc.array(fc.nat(9)),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (sizes, share) => {
          const total = sizes.reduce((sum, size) => sum + size, 0);
          expect(drawn(share, sizes)).toEqual(drawn(share, [total]));
        },
      ),
    );
  });

  it('is the share that was asked for, within five standard deviations', () => {
    for (const share of [0.01, 0.1, 0.5, 0.9]) {
      const count = drawn(share, [100_000]).length;
      const sigma = Math.sqrt(100_000 * share * (1 - share));
      expect(Math.abs(count - 100_000 * share), String(share)).toBeLessThan(5 * sigma);
    }
  });
});
