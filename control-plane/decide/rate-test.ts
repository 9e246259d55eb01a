import { logGamma } from '../../protocol/statistics/gamma.ts';
import { logAdd } from './e-process.ts';

export interface Rate {
  readonly events: number;
  readonly trials: number;
}

/**
 * ln of the one-sided p-value of "the candidate's rate is no higher than the stable one's": given
 * the events of both arms together, the candidate's are Binomial(total, its part of the trials)
 * (Przyborowski and Wilenski 1940). Exact at small counts, where the z-test is not: one error in
 * 10 requests against none in 10,000 has z = 31 there and p = 0.001 here.
 */
export function logRateTest(stable: Rate, candidate: Rate): number {
  const total = stable.events + candidate.events;
  const trials = stable.trials + candidate.trials;
  if (total === 0 || stable.trials === 0 || candidate.trials === 0) return 0;
  const logHit = Math.log(candidate.trials / trials);
  const logMiss = Math.log(stable.trials / trials);
  let tail = -Infinity;
  for (let k = candidate.events; k <= total; k += 1) {
    const ways = logGamma(total + 1) - logGamma(k + 1) - logGamma(total - k + 1);
    const term = ways + k * logHit + (total - k) * logMiss;
    tail = logAdd(tail, term);
    // Far beyond the mode, what follows is a geometric remainder below float64's precision.
    if (term < tail - 50) break;
  }
  return Math.min(0, tail);
}

export function rateOf(rate: Rate): number {
  return rate.trials === 0 ? 0 : rate.events / rate.trials;
}
