import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type CohortAgent,
  cohortHash,
  decideCohort,
  inCohort,
} from '../../../control-plane/rollout/cohort.ts';

const agent = fc.record<CohortAgent>({
  id: fc.stringMatching(/^agt_[0-9a-f]{24}$/),
  labels: fc.record({ site: fc.constantFrom('berlin', 'paris') }),
  enrolledAtMs: fc.integer({ min: 0, max: 100 }),
  connected: fc.boolean(),
});
const fleet = fc.uniqueArray(agent, { selector: (a) => a.id, maxLength: 20 });

describe('a canary cohort', () => {
  it('holds as many connected hosts as asked for, or all there are', () => {
    fc.assert(
      fc.property(fleet, fc.integer({ min: 1, max: 5 }), (agents, wanted) => {
        const cohort = decideCohort('r', { kind: 'count', agents: wanted }, agents, 100);
        const connected = agents.filter((a) => a.connected);
        expect(cohort.members).toHaveLength(Math.min(wanted, connected.length));
        expect(connected.map((a) => a.id)).toEqual(expect.arrayContaining([...cohort.members]));
      }),
    );
  });

  it('never changes for hosts that were there, whoever comes, goes or reconnects', () => {
    fc.assert(
      fc.property(fleet, fleet, (agents, others) => {
        const cohort = decideCohort('r', { kind: 'count', agents: 2 }, agents, 100);
        const chosen = agents.filter((a) => inCohort('r', cohort, a)).map((a) => a.id);
        expect(new Set(chosen)).toEqual(new Set(cohort.members));
        for (const late of others.map((a) => ({ ...a, enrolledAtMs: 101 }))) {
          const isIn = inCohort('r', cohort, late);
          expect(isIn).toBe(cohortHash('r', late.id) <= cohort.threshold);
        }
      }),
    );
  });

  it('takes all hosts with the labels, late ones too', () => {
    fc.assert(
      fc.property(fleet, (agents) => {
        const rule = { kind: 'labels', labels: { site: 'berlin' } } as const;
        const cohort = decideCohort('r', rule, agents, 100);
        for (const a of [...agents, ...agents.map((b) => ({ ...b, enrolledAtMs: 500 }))]) {
          expect(inCohort('r', cohort, a)).toBe(a.labels.site === 'berlin');
        }
      }),
    );
  });

  it('stays empty when nobody could be chosen', () => {
    const cohort = decideCohort('r', { kind: 'count', agents: 1 }, [], 100);
    const late = { id: `agt_${'0'.repeat(24)}`, labels: {}, enrolledAtMs: 200 };
    expect(cohort.members).toEqual([]);
    expect(inCohort('r', cohort, late)).toBe(false);
  });

  it('chooses other hosts in another rollout', () => {
    const id = `agt_${'a'.repeat(24)}`;
    expect(cohortHash('one', id)).not.toBe(cohortHash('two', id));
  });
});
