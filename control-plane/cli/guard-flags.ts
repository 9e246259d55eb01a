import type { Command } from 'commander';

/** What `deploy` and `guard` take about what hosts decide by themselves. */
export interface GuardFlags {
  readonly maxNonFinite?: string;
  readonly maxErrorShare?: string;
  readonly latencyBudgetUs?: string;
  readonly maxSlowShare?: string;
  readonly maxPsi?: string;
  readonly minRows?: string;
  readonly lastAnswers?: string;
  readonly withoutLastGood?: string;
  readonly lease?: string;
  readonly afterLease?: string;
}

const FLAGS: readonly (readonly [flag: string, description: string])[] = [
  [
    '--max-non-finite <n>',
    'answers with NaN or infinity that a host bears among the last; 0: none',
  ],
  ['--max-error-share <0..1>', 'share of the last answers that may be failures of the model'],
  ['--latency-budget-us <us>', 'how long an answer may take, from the request read to it written'],
  ['--max-slow-share <0..1>', 'share of the last answers that may take longer (default: 0.1)'],
  ['--max-psi <nats>', 'how far predictions may be from the baseline (debiased PSI)'],
  ['--min-rows <n>', 'rows before anything is said of that (default: 500)'],
  ['--last-answers <n>', 'how many answers of an engine are looked back at (default: 100)'],
  ['--without-last-good <serve|refuse>', 'what a host does that has nothing to go back to'],
  ['--lease <duration>', 'how long hosts may serve it without hearing from the control plane'],
  ['--after-lease <serve|stop>', 'past it: go on and say so, or answer 503 (default: stop)'],
];

export function withGuardFlags(command: Command): Command {
  for (const [flag, description] of FLAGS) command.option(flag, description);
  return command;
}
