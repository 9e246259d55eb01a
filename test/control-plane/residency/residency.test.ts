import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  decisionViolation,
  goesTo,
  isWithin,
  type Place,
  telemetryViolation,
} from '../../../control-plane/residency/residency.ts';
import {
  jurisdictionSchema,
  MAX_JURISDICTIONS,
  type Residency,
  residencySchema,
  UNRESTRICTED,
} from '../../../protocol/residency.ts';

const NAMES = ['eu', 'eu-de', 'uk', 'us-ca'];
const anyPlace: fc.Arbitrary<Place> = fc.option(fc.constantFrom(...NAMES));
const anyReach = fc.constantFrom('within' as const, 'anywhere' as const);
const anyPolicy: fc.Arbitrary<Residency> = fc.record({
  jurisdictions: fc.uniqueArray(fc.constantFrom(...NAMES), { maxLength: 3 }),
  telemetry: anyReach,
  outcomes: anyReach,
  decisions: anyReach,
});
const eu = residencySchema.parse({ jurisdictions: ['eu', 'uk'] });

describe('a policy', () => {
  it('that names no jurisdiction restricts nothing', () => {
    fc.assert(
      fc.property(anyPlace, anyPlace, anyPolicy, (host, here, policy) => {
        const open = { ...policy, jurisdictions: [] };
        expect(isWithin(open, host)).toBe(true);
        expect(telemetryViolation(open, host)).toBeNull();
        expect(decisionViolation(open, host, here)).toBeNull();
      }),
    );
    expect(residencySchema.parse({})).toEqual(UNRESTRICTED);
  });

  it('RESIDENCY-1: takes a place that nobody has said for one outside', () => {
    expect([isWithin(eu, 'uk'), isWithin(eu, 'us-ca'), isWithin(eu, null)]).toEqual([
      true,
      false,
      false,
    ]);
    expect(isWithin(eu, 'eu-de')).toBe(false);
  });

  it('RESIDENCY-2: lets a deployment go where its labels and its jurisdictions both do', () => {
    fc.assert(
      fc.property(anyPolicy, anyPlace, fc.boolean(), (residency, jurisdiction, labelled) => {
        const labels: Record<string, string> = labelled ? { site: 'lab' } : {};
        const host = { labels, jurisdiction };
        const target = { to: { site: 'lab' }, residency };
        expect(goesTo(target, host)).toBe(labelled && isWithin(residency, jurisdiction));
      }),
    );
  });

  it('RESIDENCY-3, RESIDENCY-4: never lets out more than a stricter one', () => {
    fc.assert(
      fc.property(anyPolicy, anyPlace, anyPlace, (policy, host, here) => {
        const loose = { ...policy, telemetry: 'anywhere', decisions: 'anywhere' } as const;
        const strict = { ...policy, telemetry: 'within', decisions: 'within' } as const;
        if (telemetryViolation(loose, host) !== null)
          expect(telemetryViolation(strict, host)).not.toBeNull();
        if (decisionViolation(loose, host, here) !== null)
          expect(decisionViolation(strict, host, here)).not.toBeNull();
        // A record of a host outside is fetched under no policy, and to one within it always may be.
        if (!isWithin(policy, host)) expect(decisionViolation(policy, host, here)).not.toBeNull();
        else if (isWithin(policy, here)) expect(decisionViolation(policy, host, here)).toBeNull();
      }),
    );
  });

  it('RESIDENCY-4: says which end is outside, and of what', () => {
    expect(decisionViolation(eu, 'us-ca', 'eu')).toEqual({
      code: 'host-outside',
      detail: 'the host is in "us-ca", and the deployment is restricted to eu, uk',
    });
    expect(decisionViolation(eu, 'eu', null)).toEqual({
      code: 'control-plane-outside',
      detail:
        'this control plane is in no jurisdiction that was named, and the deployment is restricted to eu, uk',
    });
    expect(decisionViolation({ ...eu, decisions: 'anywhere' }, 'eu', null)).toBeNull();
    expect(telemetryViolation(eu, 'us-ca')?.code).toBe('host-outside');
  });

  it('has bounded, plain names, none twice and no unknown key', () => {
    const names = (count: number) => Array.from({ length: count }, (_, k) => `j${k}`);
    const takes = (policy: object) => residencySchema.safeParse(policy).success;
    expect(takes({ jurisdictions: names(MAX_JURISDICTIONS) })).toBe(true);
    expect(takes({ jurisdictions: names(MAX_JURISDICTIONS + 1) })).toBe(false);
    expect(takes({ jurisdictions: ['eu', 'eu'] })).toBe(false);
    expect(takes({ jurisdictions: ['eu'], rows: 'anywhere' })).toBe(false);
    expect(takes({ decisions: 'perhaps' })).toBe(false);
    for (const name of ['', 'EU', '1a', 'e u', 'a'.repeat(33)]) {
      expect(jurisdictionSchema.safeParse(name).success, name).toBe(false);
    }
    expect(jurisdictionSchema.safeParse('a'.repeat(32)).success).toBe(true);
  });
});
