import type { RuleEvaluator } from '../../../protocol/evaluator.ts';
import { ungroundedShare } from './groundedness.ts';
import { refusalRule } from './refusal.ts';

/** Characters of an answer and its context that are scored: at most 1.3 ms of the thread that serves, by any rule. */
export const MAX_SCORED_CHARACTERS = 65_536;

/** From 0 to 1, 1 is the worst; null: too long to be scored in passing. */
export type Rule = (answer: string, context: readonly string[]) => number | null;

/** What a rule makes of an answer. Needs nothing but the texts. */
export function ruleOf(config: RuleEvaluator): Rule {
  switch (config.rule) {
    case 'max-length':
      return (answer) => (answer.length > config.maxLength ? 1 : 0);
    case 'json-valid':
      return bounded((answer) => (isJson(answer) ? 0 : 1));
    case 'refusal': {
      const refused = refusalRule(config.phrases);
      return (answer) => refused(answer);
    }
    case 'contains':
      return bounded(containsRule(config.phrases));
    case 'groundedness':
      return bounded(ungroundedShare);
  }
}

function bounded(rule: (answer: string, context: readonly string[]) => number): Rule {
  return (answer, context) => {
    const characters = context.reduce((sum, { length }) => sum + length, answer.length);
    return characters > MAX_SCORED_CHARACTERS ? null : rule(answer, context);
  };
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // What it is instead does not matter.
    return false;
  }
}

/** One expression for all phrases: the engine looks for them in one pass over the answer. */
function containsRule(phrases: readonly string[]): (answer: string) => number {
  const literal = phrases.map((phrase) => phrase.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&'));
  const any = new RegExp(literal.join('|'), 'i');
  return (answer) => (any.test(answer) ? 1 : 0);
}
