import { rateEvidence, toleratedRate } from '../../protocol/statistics/rate-e-value.ts';
import { type Rate, rateOf } from './rate-test.ts';
import type { Learnt, Seen, StreamMemory } from './stream.ts';

/**
 * What a healthy version may fail or answer with NaN: there is no baseline of errors in a profile, so up to 1 in 100 is
 * never evidence, and 2 in 100 is the smallest rate that pages.
 */
export const TOLERATED_RATE = 0.01;
export const RATE_FLOOR = 0.02;

/** Trials before a rate that was learned stands for what is usual. */
export const MIN_LEARNED_TRIALS = 200;

/** Of requests or rows that went wrong: against a fixed rate that nobody minds. */
export function faultSignal(events: number, trials: number): Seen | null {
  if (trials === 0) return null;
  const seen = { events: Math.min(events, trials), trials };
  return signal(seen, TOLERATED_RATE, rateOf(seen) / RATE_FLOOR);
}

/**
 * Against a reference that was counted: RATE_FLOOR above it is one unit of effect. `tolerated` overrides the upper end
 * of the reference's Wilson interval.
 */
export function rateSignal(
  reference: Rate,
  seen: Rate,
  tolerated = toleratedRate(reference.events, reference.trials),
): Seen | null {
  if (seen.trials === 0) return null;
  return signal(seen, tolerated, (rateOf(seen) - rateOf(reference)) / RATE_FLOOR);
}

/** Against what the first `steps` steps showed: for what no baseline can hold. Null: nothing to judge or to learn. */
export function learnedRateSignal(
  seen: Rate,
  memory: StreamMemory | null,
  steps: number,
): Seen | Learnt | null {
  if (seen.trials === 0) return null;
  const known =
    memory?.kind === 'learning'
      ? memory
      : { kind: 'learning' as const, steps: 0, events: 0, trials: 0 };
  if (known.steps >= steps && known.trials >= MIN_LEARNED_TRIALS) {
    const judged = rateSignal(known, seen);
    return judged === null ? null : { ...judged, memory: known };
  }
  const { events, trials } = known;
  return {
    learnt: {
      kind: 'learning',
      steps: known.steps + 1,
      events: events + seen.events,
      trials: trials + seen.trials,
    },
  };
}

function signal(seen: Rate, tolerated: number, effect: number): Seen {
  return {
    observation: { kind: 'evidence', logE: rateEvidence(seen, tolerated), effect },
    measure: { kind: 'rate', rate: rateOf(seen), tolerated, effect, ...seen },
  };
}
