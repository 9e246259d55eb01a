import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { describeConceptDrift, parseConceptDrift } from '../../protocol/concept-drift.ts';
import { MAX_DETAIL_LENGTH } from '../../protocol/limits.ts';

const FOUND = {
  deployment: 'loans',
  manifest: `sha256:${'a'.repeat(64)}`,
  arm: 'stable',
  detector: 'page-hinkley',
} as const;
const SEEN = { labels: 3, meanError: 1 / 3 };

describe('EVENT-1: the detail of a concept-drift event', () => {
  it('is read as it was written, with names of any length', () => {
    const names = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/);
    const arms = fc.constantFrom('stable' as const, 'candidate' as const, 'pinned' as const);
    fc.assert(
      fc.property(names, arms, (deployment, arm) => {
        const found = { ...FOUND, deployment, arm };
        const detail = describeConceptDrift(found, SEEN);
        expect(parseConceptDrift(detail)).toEqual(found);
        expect(detail.length).toBeLessThan(MAX_DETAIL_LENGTH);
      }),
    );
  });

  it('takes its fields in any order, and leaves out what it does not know', () => {
    const detail = describeConceptDrift(FOUND, SEEN);
    const turned = `as of today ${detail.split(' ').reverse().join(' ')} n=4`;
    expect(parseConceptDrift(turned)).toEqual(FOUND);
    expect(detail).toContain('labels=3 mean_error=0.3333');
  });

  it.each(['deployment', 'manifest', 'arm', 'detector'])('says nothing without its %s', (field) => {
    const detail = describeConceptDrift(FOUND, SEEN);
    const rest = detail.split(' ').filter((part) => !part.startsWith(`${field}=`));
    expect(parseConceptDrift(rest.join(' '))).toBeNull();
    expect(parseConceptDrift([...rest, `${field}=%`].join(' '))).toBeNull();
  });
});
