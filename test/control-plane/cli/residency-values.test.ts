import { describe, expect, it } from 'vitest';
import { CliError } from '../../../control-plane/cli/error.ts';
import { residencyFrom } from '../../../control-plane/cli/residency-values.ts';
import { MAX_JURISDICTIONS, UNRESTRICTED } from '../../../protocol/residency.ts';

function refusal(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof CliError && error.kind === 'usage') return error.message;
    throw error;
  }
  throw new Error('it was not refused');
}

const EU = { ...UNRESTRICTED, jurisdictions: ['eu'] };

describe('residency on the command line', () => {
  it('is what was set before, with the flags in their places', () => {
    expect(residencyFrom({}, EU)).toBeNull();
    const whole = residencyFrom({ jurisdictions: 'eu, uk', outcomes: 'within' }, UNRESTRICTED);
    expect(whole).toEqual({
      jurisdictions: ['eu', 'uk'],
      telemetry: 'within',
      outcomes: 'within',
      decisions: 'within',
    });
    const parts = { telemetry: 'anywhere', decisions: 'anywhere' };
    expect(residencyFrom(parts, whole ?? EU)).toEqual({ ...whole, ...parts });
    expect(residencyFrom({ jurisdictions: 'us' }, { ...EU, outcomes: 'within' })).toMatchObject({
      jurisdictions: ['us'],
      outcomes: 'within',
    });
    expect(residencyFrom({ jurisdictions: 'any' }, EU)).toEqual(UNRESTRICTED);
  });

  const many = Array.from({ length: MAX_JURISDICTIONS + 1 }, (_, k) => `j${k}`).join();
  it.each([
    [{ outcomes: 'eu' }, EU, '--outcomes is "eu"; it must be within or anywhere'],
    [{ decisions: 'anywhere' }, UNRESTRICTED, 'add --jurisdictions eu'],
    [{ jurisdictions: 'any', telemetry: 'anywhere' }, EU, 'this one may be anywhere'],
    [{ jurisdictions: 'EU' }, UNRESTRICTED, 'not "EU"'],
    [{ jurisdictions: 'eu,eu' }, UNRESTRICTED, 'named twice'],
    [{ jurisdictions: many }, UNRESTRICTED, `${MAX_JURISDICTIONS}`],
  ])('%j is refused with what is wrong', (flags, present, told) => {
    expect(refusal(() => residencyFrom(flags, present))).toContain(told);
  });
});
