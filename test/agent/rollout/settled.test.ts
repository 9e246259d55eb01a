import { describe, expect, it } from 'vitest';
import { tripKey } from '../../../agent/engine/restraints.ts';
import { planServing, type RefusedVersion } from '../../../agent/rollout/serving-plan.ts';
import { settledIn } from '../../../agent/rollout/settled.ts';
import type { DesiredState } from '../../../protocol/desired.ts';
import type { Arm } from '../../../protocol/ids.ts';
import { desiredFor, digestOf, plan } from './plans.ts';

type Wanted = readonly [arm: Arm, version: number, decidedAt: number];

function document(generation: number, ...wanted: readonly Wanted[]): DesiredState {
  const bare = plan(['loans', ...wanted.map(([arm, version]) => [arm, version, 0.5] as const)]);
  const { deployments, ...state } = desiredFor(bare, generation);
  const arms = deployments[0].arms.map((arm, at) => ({ ...arm, decidedAt: wanted[at][2] }));
  return { ...state, deployments: [{ ...deployments[0], arms }] };
}

const LATE: RefusedVersion = { code: 'artifact-unavailable', detail: 'it is being fetched' };
const BAD: RefusedVersion = { code: 'golden-mismatch', detail: 'no' };
const refusing = (version: number, why: RefusedVersion) => new Map([[digestOf(version), why]]);
const NONE = new Map<string, RefusedVersion>();
const NO_TRIPS = new Set<string>();

const one = document(1, ['stable', 1, 10]);
const served = planServing(one, NONE, null);

describe('LEASE-2: the lease of a deployment is renewed with its document', () => {
  it('once its versions serve by it', () => {
    expect(settledIn(one, served, NONE, NO_TRIPS)).toEqual(['loans']);
    expect(settledIn(null, served, NONE, NO_TRIPS)).toEqual([]);
    expect(settledIn(one, null, NONE, NO_TRIPS)).toEqual([]);
  });

  it.each(['candidate', 'pinned'] as const)(
    'while a %s version is on its way, before the host has given up waiting and after',
    (arm) => {
      const both = document(2, ['stable', 1, 10], [arm, 2, 20]);
      const late = refusing(2, LATE);
      expect(settledIn(both, served, NONE, NO_TRIPS)).toEqual(['loans']);
      expect(settledIn(both, planServing(both, late, served), late, NO_TRIPS)).toEqual(['loans']);
    },
  );

  it('not while the stable version is on its way, nor while a candidate serves that was taken back', () => {
    const next = document(2, ['stable', 2, 20]);
    const late = refusing(2, LATE);
    expect(settledIn(next, served, NONE, NO_TRIPS)).toEqual([]);
    expect(settledIn(next, planServing(next, late, served), late, NO_TRIPS)).toEqual([]);
    const both = document(2, ['stable', 1, 10], ['candidate', 2, 20]);
    const canary = planServing(both, NONE, served);
    expect(settledIn(one, canary, NONE, NO_TRIPS)).toEqual([]);
    expect(settledIn(document(3, ['stable', 1, 30]), served, NONE, NO_TRIPS)).toEqual([]);
  });

  it('where its stable version is refused for good or taken back, and the one before stands in for it', () => {
    const next = document(2, ['stable', 2, 20]);
    const bad = refusing(2, BAD);
    expect(settledIn(next, planServing(next, bad, served), bad, NO_TRIPS)).toEqual(['loans']);
    const trips = new Set([tripKey('loans', { manifest: digestOf(2), decidedAt: 20 })]);
    const instead = planServing(next, NONE, served, new Map(), trips);
    expect(instead.deployments[0].arms[0].version).toBe(1);
    expect(settledIn(next, instead, NONE, trips)).toEqual(['loans']);
  });
});
