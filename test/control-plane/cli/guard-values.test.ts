import { describe, expect, it } from 'vitest';
import { CliError } from '../../../control-plane/cli/error.ts';
import { guardFrom, leaseFrom } from '../../../control-plane/cli/guard-values.ts';

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CliError && error.kind === 'usage') return error.message;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a guard on the command line', () => {
  it('is what was set before, with the flags in their places', () => {
    expect(guardFrom({}, { maxNonFinite: 3 })).toBeNull();
    expect(guardFrom({ maxErrorShare: '0.05' }, { maxNonFinite: 3 })).toEqual({
      maxNonFinite: 3,
      maxErrorShare: 0.05,
    });
    const first = guardFrom({ latencyBudgetUs: '20000', maxPsi: '0.5', lastAnswers: '50' }, {});
    expect(first).toEqual({
      lastAnswers: 50,
      latency: { budgetUs: 20_000, maxShare: 0.1 },
      drift: { maxPsi: 0.5, minRows: 500 },
    });
    expect(guardFrom({ maxSlowShare: '0.2', minRows: '900' }, first ?? {})).toMatchObject({
      latency: { budgetUs: 20_000, maxShare: 0.2 },
      drift: { maxPsi: 0.5, minRows: 900 },
    });
  });

  it.each([
    [{ maxNonFinite: '-1' }, '--max-non-finite is "-1"'],
    [{ maxErrorShare: '1' }, '--max-error-share is "1"; it must be at least 0 and below 1'],
    [{ maxSlowShare: '0.1' }, 'add --latency-budget-us'],
    [{ minRows: '500' }, 'add --max-psi'],
    [{ maxPsi: '0' }, '--max-psi is "0"; it must be above 0 and at most 20'],
    [{ lastAnswers: '5' }, '--last-answers is "5"; it must be an integer, 10 to 10000'],
    [{ withoutLastGood: 'wait' }, '--without-last-good is "wait"; it must be serve or refuse'],
    [{ maxNonFinite: '100' }, 'maxNonFinite must be less than lastAnswers'],
  ])('%j is refused with what to do', (flags, told) => {
    expect(refusal(() => guardFrom(flags, {}))).toContain(told);
  });
});

describe('a lease on the command line', () => {
  it('stops at its end unless it is told to go on', () => {
    expect(leaseFrom({}, null)).toBeNull();
    const lease = leaseFrom({ lease: '10m' }, null);
    expect(lease).toEqual({ durationMs: 600_000, afterwards: 'stop' });
    expect(leaseFrom({ afterLease: 'serve' }, lease)).toEqual({
      durationMs: 600_000,
      afterwards: 'serve',
    });
    expect(leaseFrom({ lease: '1h' }, { durationMs: 5_000, afterwards: 'serve' })).toEqual({
      durationMs: 3_600_000,
      afterwards: 'serve',
    });
  });

  it.each([
    [{ lease: '1s' }, '--lease is "1s"; it must be 2s to 31d'],
    [{ lease: '32d' }, '--lease is "32d"; it must be 2s to 31d'],
    [{ afterLease: 'stop' }, 'add --lease 10m'],
    [{ lease: '1m', afterLease: 'halt' }, '--after-lease is "halt"; it must be serve or stop'],
  ])('%j is refused with what to do', (flags, told) => {
    expect(refusal(() => leaseFrom(flags, null))).toContain(told);
  });
});
