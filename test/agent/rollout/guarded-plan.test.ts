import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { PlannedArm, ServingPlan } from '../../../agent/engine/messages.ts';
import { tripKey } from '../../../agent/engine/restraints.ts';
import { planServing } from '../../../agent/rollout/serving-plan.ts';
import { withStandby } from '../../../agent/rollout/standby.ts';
import type { DesiredArm, DesiredState } from '../../../protocol/desired.ts';

const DECIDED = 7;
const digest = (version: number) => `sha256:${String(version).padStart(64, '0')}`;
const arm = (name: DesiredArm['arm'], version: number, share: number): DesiredArm => ({
  ...{ arm: name, model: 'loans', version, manifest: digest(version), share },
  decidedAt: DECIDED,
});
const desired = (...arms: DesiredArm[]): DesiredState => ({
  ...{ agent: `agt_${'a'.repeat(24)}`, generation: 2, issuedAt: 0, expiresAt: 1 },
  deployments: [
    {
      ...{ name: 'loans', windowMs: 1000, serving: {}, monitoring: {} },
      ...{ guard: { maxNonFinite: 0 }, arms },
    },
  ],
});
const tripped = (...versions: number[]) =>
  new Set(versions.map((v) => tripKey('loans', { manifest: digest(v), decidedAt: DECIDED })));
const served = (version: number): PlannedArm => ({
  ...{ arm: 'stable', version, manifest: digest(version), share: 1 },
});
const fallbacks = (version: number) => new Map([['loans', served(version)]]);
const running = (version: number): ServingPlan =>
  planServing(desired(arm('stable', version, 1)), new Map(), null);
const shown = (plan: ServingPlan) =>
  plan.deployments.map(({ arms }) => arms.map((a) => `${a.arm}@${a.version}=${a.share}`).join());

describe('a plan without what guards took back', () => {
  const canary = desired(arm('stable', 2, 0.75), arm('candidate', 3, 0.25), arm('pinned', 4, 0));
  const planned = (versions: number[], current: ServingPlan | null, back: number | null) =>
    shown(
      planServing(
        canary,
        new Map(),
        current,
        back === null ? new Map() : fallbacks(back),
        tripped(...versions),
      ),
    );

  it('GUARD-3: has the last good version in the place of the stable one, by the same decision', () => {
    expect(planned([2], running(2), 1)).toEqual(['stable@1=1,pinned@4=0']);
    const plan = planServing(canary, new Map(), running(2), fallbacks(1), tripped(2));
    expect(plan.deployments[0].arms[0].decidedAt).toBe(DECIDED);
    expect(planned([3], running(2), 1)).toEqual(['stable@2=1,pinned@4=0']);
    expect(planned([4], running(2), 1)).toEqual(['stable@2=0.75,candidate@3=0.25']);
  });

  it('GUARD-4: keeps what answers where the last good one was taken back too, and goes to and fro for nobody', () => {
    expect(planned([2], running(2), null)).toEqual(['stable@2=1,pinned@4=0']);
    expect(planned([2, 1], running(1), 1)).toEqual(['stable@1=1,pinned@4=0']);
    expect(planned([2], null, null)).toEqual(['stable@2=1,pinned@4=0']);
  });

  it('keeps to a trip of the same decision only', () => {
    const other = new Set([tripKey('loans', { manifest: digest(2), decidedAt: DECIDED - 1 })]);
    const plan = planServing(canary, new Map(), running(2), fallbacks(1), other);
    expect(shown(plan)).toEqual(['stable@2=0.75,candidate@3=0.25,pinned@4=0']);
  });

  it('is one that adds up, whatever was taken back or is refused', () => {
    const some = fc.uniqueArray(fc.integer({ min: 1, max: 4 }));
    fc.assert(
      fc.property(some, some, fc.option(fc.integer({ min: 1, max: 2 })), (out, refused, back) => {
        const no = new Map(
          refused.map((v) => [digest(v), { code: 'golden-mismatch' as const, detail: '' }]),
        );
        const last = back === null ? new Map() : fallbacks(back);
        const plan = planServing(canary, no, running(2), last, tripped(...out));
        for (const { arms } of plan.deployments) {
          expect(arms.reduce((sum, { share }) => sum + share, 0)).toBeCloseTo(1, 12);
          expect(arms.some(({ manifest }) => no.has(manifest))).toBe(false);
          expect(arms.filter((each) => each.arm === 'stable')).toHaveLength(1);
          expect(arms.some((each) => each.arm === 'candidate' && out.includes(each.version))).toBe(
            false,
          );
        }
      }),
    );
  });
});

describe('GUARD-5: what stands by', () => {
  const plan = planServing(desired(arm('stable', 2, 1)), new Map(), running(1));
  const standby = (of: ServingPlan) => of.deployments[0].standby;

  it('is the last good version, by the decision for what it stands by for', () => {
    expect(standby(withStandby(plan, fallbacks(1), new Set(), new Set()))).toEqual({
      ...served(1),
      share: 0,
      decidedAt: DECIDED,
    });
  });

  it('is nothing where that is what serves, is refused, was taken back, or nothing is guarded', () => {
    expect(standby(withStandby(plan, fallbacks(2), new Set(), new Set()))).toBeUndefined();
    expect(standby(withStandby(plan, new Map(), new Set(), new Set()))).toBeUndefined();
    expect(
      standby(withStandby(plan, fallbacks(1), new Set([digest(1)]), new Set())),
    ).toBeUndefined();
    expect(standby(withStandby(plan, fallbacks(1), new Set(), tripped(1)))).toBeUndefined();
    const [{ guard: _, ...bare }] = plan.deployments;
    const free = { ...plan, deployments: [bare] };
    expect(standby(withStandby(free, fallbacks(1), new Set(), new Set()))).toBeUndefined();
  });
});
