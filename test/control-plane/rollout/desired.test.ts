import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decideCohort } from '../../../control-plane/rollout/cohort.ts';
import {
  contentOf,
  type DeploymentPlan,
  desiredFor,
  type RolloutPlan,
} from '../../../control-plane/rollout/desired.ts';
import type { RolloutStateKind } from '../../../control-plane/rollout/rollout-state.ts';
import { desiredDeploymentSchema } from '../../../protocol/desired.ts';
import { UNRESTRICTED } from '../../../protocol/residency.ts';

const hashOf = (deployments: Parameters<typeof contentOf>[0]) => contentOf(deployments).hash;

const version = (number: number) => ({
  model: 'mortgage',
  version: number,
  manifest: `sha256:${String(number).repeat(64).slice(0, 64)}`,
});
const deployment: DeploymentPlan = {
  name: 'loans',
  windowMs: 2_000,
  to: {},
  residency: UNRESTRICTED,
  withheld: [],
  stable: version(1),
  serving: {},
  monitoring: {},
  pinned: [],
  guard: {},
  lease: null,
  decidedAtMs: 5,
};
const agents = ['a', 'b', 'c'].map((letter) => ({
  id: `agt_${letter.repeat(24)}`,
  labels: {},
  jurisdiction: null,
  enrolledAtMs: 0,
  connected: true,
  protocol: 2,
}));
const cohort = decideCohort('r1', { kind: 'count', agents: 1 }, agents, 10);
const rollout = (state: RolloutStateKind, share = 1): RolloutPlan => ({
  id: 'r1',
  deployment: 'loans',
  state,
  candidate: version(2),
  share,
  cohort,
  startedAtMs: 9,
});
const armsOf = (plan: RolloutPlan) =>
  agents.map((agent) => desiredFor(agent, [deployment], [plan])[0].arms);

describe('desired state', () => {
  it('gives the candidate to the canary alone, and keeps the stable version loaded there', () => {
    for (const [at, arms] of armsOf(rollout('canary')).entries()) {
      const isCanary = cohort.members.includes(agents[at].id);
      expect(arms.map((arm) => [arm.arm, arm.version, arm.share])).toEqual(
        isCanary
          ? [
              ['stable', 1, 0],
              ['candidate', 2, 1],
            ]
          : [['stable', 1, 1]],
      );
    }
  });

  it.each(['promoting', 'completed', 'rolling-back', 'rolled-back', 'aborted'] as const)(
    'has one arm everywhere when %s',
    (state) => {
      for (const arms of armsOf(rollout(state))) expect(arms).toHaveLength(1);
    },
  );

  it('always fits the wire schema, whatever the share', () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 1, noNaN: true }), (share) => {
        for (const arms of armsOf(rollout('canary', share))) {
          const parsed = desiredDeploymentSchema.safeParse({
            name: 'loans',
            windowMs: 2_000,
            arms,
          });
          expect(parsed.success).toBe(true);
        }
      }),
    );
  });

  it('leaves out deployments whose labels a host lacks, and hashes content alone', () => {
    const elsewhere = { ...deployment, name: 'away', to: { site: 'paris' } };
    const both = desiredFor(agents[0], [elsewhere, deployment], []);
    expect(both.map((d) => d.name)).toEqual(['loans']);
    expect(hashOf(both)).toBe(hashOf(desiredFor(agents[1], [deployment], [])));
    expect(hashOf(both)).not.toBe(
      hashOf(desiredFor(agents[0], [{ ...deployment, stable: version(2) }], [])),
    );
  });
});

describe('pinned versions', () => {
  const pinning = { ...deployment, pinned: [version(2), version(3)] };
  const shown = (agent: (typeof agents)[number], plans: readonly RolloutPlan[]) =>
    desiredFor(agent, [pinning], plans)[0].arms.map(({ arm, version: v, share }) => [
      arm,
      v,
      share,
    ]);
  const canary = agents.find(({ id }) => cohort.members.includes(id)) ?? agents[0];
  const other = agents.find(({ id }) => !cohort.members.includes(id)) ?? agents[1];

  it('DESIRED-10: stand beside stable and candidate, and are not there twice', () => {
    expect(shown(other, [])).toEqual([
      ['stable', 1, 1],
      ['pinned', 2, 0],
      ['pinned', 3, 0],
    ]);
    expect(shown(canary, [rollout('canary', 0.5)])).toEqual([
      ['stable', 1, 0.5],
      ['candidate', 2, 0.5],
      ['pinned', 3, 0],
    ]);
    expect(shown(other, [rollout('canary', 0.5)])).toHaveLength(3);
    const moved = { ...pinning, stable: version(3) };
    const after = desiredFor(other, [moved], [])[0];
    expect(after.arms.map(({ arm, version: v }) => [arm, v])).toEqual([
      ['stable', 3],
      ['pinned', 2],
    ]);
    expect(desiredDeploymentSchema.safeParse(after).success).toBe(true);
  });

  it('DESIRED-13: are kept from agents that would refuse the whole document for them', () => {
    expect(shown({ ...other, protocol: 1 }, [])).toEqual([['stable', 1, 1]]);
  });
});

describe('a guard and a lease', () => {
  const guard = { maxNonFinite: 0 };
  const lease = { durationMs: 60_000, afterwards: 'stop' as const };
  const plan = (change: Partial<DeploymentPlan>) =>
    desiredFor(agents[0], [{ ...deployment, pinned: [version(3)], ...change }], [])[0];

  it('DESIRED-16: stand in the document where they are set, and change nothing of it where they are not', () => {
    expect(plan({})).not.toHaveProperty('guard');
    expect(plan({})).not.toHaveProperty('lease');
    expect(plan({}).arms[0]).not.toHaveProperty('decidedAt');
    // A policy for what trips is no threshold.
    expect(plan({ guard: { withoutLastGood: 'refuse' } })).toEqual(plan({}));
    expect(desiredDeploymentSchema.parse(plan({ guard, lease }))).toMatchObject({ guard, lease });
  });

  it('GUARD-6: each arm says by which decision it serves: the rollout, or the latest of the deployment', () => {
    expect(plan({ guard }).arms.map(({ arm, decidedAt }) => [arm, decidedAt])).toEqual([
      ['stable', 5],
      ['pinned', 5],
    ]);
    const [canary] = agents.filter(({ id }) => cohort.members.includes(id));
    const [{ arms }] = desiredFor(canary, [{ ...deployment, guard }], [rollout('canary')]);
    expect(arms.map(({ arm, decidedAt }) => [arm, decidedAt])).toEqual([
      ['stable', 5],
      ['candidate', 9],
    ]);
  });

  it('are a change of what a host should do', () => {
    const hashes = [plan({}), plan({ guard }), plan({ lease }), plan({ guard, decidedAtMs: 6 })];
    expect(new Set(hashes.map((each) => hashOf([each]))).size).toBe(4);
    expect(hashOf([plan({ decidedAtMs: 6 })])).toBe(hashOf([plan({})]));
  });
});
