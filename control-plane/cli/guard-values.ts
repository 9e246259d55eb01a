import { type Guard, guardSchema } from '../../protocol/guard.ts';
import type { Lease } from '../../protocol/lease.ts';
import { MAX_LEASE_MS, MIN_LEASE_MS } from '../../protocol/limits.ts';
import { describe } from '../../protocol/wire.ts';
import { CliError } from './error.ts';
import type { GuardFlags } from './guard-flags.ts';
import { parseDuration, parseInteger } from './values.ts';

const DEFAULT_SLOW_SHARE = 0.1;
const DEFAULT_MIN_ROWS = 500;

/** What the flags make of the guard that was set before; null where no flag is there. Throws `CliError` 'usage'. */
export function guardFrom(flags: GuardFlags, present: Guard): Guard | null {
  const {
    maxNonFinite,
    maxErrorShare,
    latencyBudgetUs,
    maxSlowShare,
    maxPsi,
    minRows,
    lastAnswers,
    withoutLastGood,
  } = flags;
  const change: Guard = {
    ...given('lastAnswers', lastAnswers, (text) =>
      parseInteger('--last-answers', text, 10, 10_000),
    ),
    ...given('maxNonFinite', maxNonFinite, (text) =>
      parseInteger('--max-non-finite', text, 0, 9_999),
    ),
    ...given('maxErrorShare', maxErrorShare, (text) => parseFraction('--max-error-share', text)),
    ...latencyFrom(latencyBudgetUs, maxSlowShare, present),
    ...driftFrom(maxPsi, minRows, present),
    ...given('withoutLastGood', withoutLastGood, (text) =>
      oneOf('--without-last-good', text, ['serve', 'refuse'] as const),
    ),
  };
  if (Object.keys(change).length === 0) return null;
  const parsed = guardSchema.safeParse({ ...present, ...change });
  if (parsed.success) return parsed.data;
  throw new CliError('usage', `the guard: ${describe(parsed.error)}`);
}

/** Null where no flag is there. Throws `CliError` 'usage'. */
export function leaseFrom({ lease, afterLease }: GuardFlags, present: Lease | null): Lease | null {
  if (lease === undefined && afterLease === undefined) return null;
  const durationMs = lease === undefined ? present?.durationMs : parseDuration('--lease', lease);
  if (durationMs === undefined) {
    throw new CliError('usage', '--after-lease is for a deployment with a lease: add --lease 10m');
  }
  if (durationMs < MIN_LEASE_MS || durationMs > MAX_LEASE_MS) {
    const bounds = `${MIN_LEASE_MS / 1000}s to ${MAX_LEASE_MS / 86_400_000}d`;
    throw new CliError('usage', `--lease is "${lease}"; it must be ${bounds}`);
  }
  const then = afterLease ?? present?.afterwards ?? 'stop';
  return { durationMs, afterwards: oneOf('--after-lease', then, ['serve', 'stop'] as const) };
}

function latencyFrom(
  budget: string | undefined,
  share: string | undefined,
  { latency }: Guard,
): Pick<Guard, 'latency'> {
  if (budget === undefined && share === undefined) return {};
  const budgetUs =
    budget === undefined
      ? latency?.budgetUs
      : parseInteger('--latency-budget-us', budget, 1, 3_600_000_000);
  if (budgetUs === undefined) {
    throw new CliError('usage', '--max-slow-share is of a budget: add --latency-budget-us');
  }
  const before = latency?.maxShare ?? DEFAULT_SLOW_SHARE;
  const maxShare = share === undefined ? before : parseFraction('--max-slow-share', share);
  return { latency: { budgetUs, maxShare } };
}

function driftFrom(
  psi: string | undefined,
  rows: string | undefined,
  { drift }: Guard,
): Pick<Guard, 'drift'> {
  if (psi === undefined && rows === undefined) return {};
  const maxPsi = psi === undefined ? drift?.maxPsi : Number(psi);
  if (maxPsi === undefined) {
    throw new CliError('usage', '--min-rows is for a limit of drift: add --max-psi');
  }
  if (!(maxPsi > 0 && maxPsi <= 20)) {
    throw new CliError('usage', `--max-psi is "${psi}"; it must be above 0 and at most 20`);
  }
  const before = drift?.minRows ?? DEFAULT_MIN_ROWS;
  const minRows = rows === undefined ? before : parseInteger('--min-rows', rows, 100, 1_000_000);
  return { drift: { maxPsi, minRows } };
}

function given<K extends string, V>(
  name: K,
  text: string | undefined,
  read: (text: string) => V,
): Partial<Record<K, V>> {
  return text === undefined ? {} : ({ [name]: read(text) } as Record<K, V>);
}

/** At least 0 and below 1: a share that a limit may be. */
function parseFraction(flag: string, text: string): number {
  const value = Number(text);
  if (text !== '' && value >= 0 && value < 1) return value;
  throw new CliError('usage', `${flag} is "${text}"; it must be at least 0 and below 1`);
}

function oneOf<T extends string>(flag: string, text: string, known: readonly T[]): T {
  const found = known.find((each) => each === text);
  if (found !== undefined) return found;
  throw new CliError('usage', `${flag} is "${text}"; it must be ${known.join(' or ')}`);
}
