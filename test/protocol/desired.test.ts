import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desiredDeploymentSchema, desiredStateSchema } from '../../protocol/desired.ts';
import { MAX_DEPLOYMENTS_PER_AGENT, MAX_WINDOW_MS, MIN_WINDOW_MS } from '../../protocol/limits.ts';
import { describe as describeIssues } from '../../protocol/wire.ts';

const arm = (name: 'stable' | 'candidate', share: number) => ({
  arm: name,
  model: 'mortgage',
  version: 1,
  manifest: `sha256:${'0'.repeat(64)}`,
  share,
});
const deployment = (arms: unknown[], windowMs = 1000) => ({ name: 'loans', windowMs, arms });

function reasonOf(value: unknown): string | null {
  const parsed = desiredDeploymentSchema.safeParse(value);
  return parsed.success ? null : describeIssues(parsed.error);
}

describe('the arms of a deployment', () => {
  it('DESIRED-2: have shares that add up to 1', () => {
    expect(reasonOf(deployment([arm('stable', 1)]))).toBeNull();
    expect(reasonOf(deployment([arm('stable', 0.9), arm('candidate', 0.1)]))).toBeNull();
    for (const shares of [[0.9], [0.5, 0.4], [0.6, 0.6], [0, 0]]) {
      const arms = shares.map((share, at) => arm(at === 0 ? 'stable' : 'candidate', share));
      expect(reasonOf(deployment(arms))).toBe(
        '(root): the shares of a deployment must add up to 1',
      );
    }
  });

  it('DESIRED-2: add up to 1 for any split that floating point makes', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (share) => {
        expect(
          reasonOf(deployment([arm('stable', 1 - share), arm('candidate', share)])),
        ).toBeNull();
      }),
    );
  });

  it('DESIRED-2: are named once each, one or two of them', () => {
    expect(reasonOf(deployment([arm('stable', 0.5), arm('stable', 0.5)]))).toContain('named twice');
    expect(reasonOf(deployment([]))).toContain('arms');
    const three = [arm('stable', 0.5), arm('candidate', 0.5), arm('candidate', 0)];
    expect(reasonOf(deployment(three))).toContain('arms');
  });

  it.each([-0.1, 1.1, Number.NaN])('DESIRED-2: have no share of %d', (share) => {
    expect(reasonOf(deployment([arm('stable', 1 - share), arm('candidate', share)]))).toMatch(
      /share/,
    );
  });
});

describe('limits of a desired state', () => {
  it('LIMIT-6: a window is as long as the limits allow and no longer', () => {
    const allowed = (windowMs: number) =>
      reasonOf(deployment([arm('stable', 1)], windowMs)) === null;
    expect([MIN_WINDOW_MS, MAX_WINDOW_MS].map(allowed)).toEqual([true, true]);
    expect([MIN_WINDOW_MS - 1, MAX_WINDOW_MS + 1, 1000.5].map(allowed)).toEqual([
      false,
      false,
      false,
    ]);
  });

  it('LIMIT-5: an agent is asked for at most so many deployments', () => {
    const state = (count: number) => ({
      agent: `agt_${'0'.repeat(24)}`,
      generation: 1,
      issuedAt: 0,
      expiresAt: 1,
      deployments: new Array(count).fill(deployment([arm('stable', 1)])),
    });
    const allowed = (value: unknown) => desiredStateSchema.safeParse(value).success;
    expect(allowed(state(MAX_DEPLOYMENTS_PER_AGENT))).toBe(true);
    expect(allowed(state(MAX_DEPLOYMENTS_PER_AGENT + 1))).toBe(false);
    expect(allowed({ ...state(1), generation: 0 })).toBe(false);
  });
});
