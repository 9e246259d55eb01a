import { describe, expect, it } from 'vitest';
import {
  keepUnloaded,
  versionsMeant,
  withoutUnloaded,
} from '../../../agent/rollout/repository-control.ts';
import { desiredFor, digestOf, executed, plan } from './plans.ts';

const canary = plan(['loans', ['stable', 1, 0.75], ['candidate', 2, 0.25], ['pinned', 3, 0]]);
const out = (...versions: number[]) => new Map([['loans', new Set(versions.map(digestOf))]]);
const shown = (unloaded: ReturnType<typeof out>) => {
  const [{ arms, unloaded: gone }] = withoutUnloaded(canary, unloaded).deployments;
  const list = arms.map(({ version, share }) => `${version}=${share}`).join(' ');
  return `${list} | ${(gone ?? []).map(({ version }) => version).join(' ')}`;
};

describe('a plan without what clients unloaded', () => {
  it('is the plan itself while nothing is unloaded', () => {
    expect(withoutUnloaded(canary, new Map()).deployments[0]).toBe(canary.deployments[0]);
    expect(withoutUnloaded(canary, out(9)).deployments[0]).toBe(canary.deployments[0]);
  });

  it('gives a candidate’s share to the stable arm', () => {
    expect(shown(out(2))).toBe('1=1 3=0 | 2');
    expect(shown(out(3))).toBe('1=0.75 2=0.25 | 3');
  });

  it('gives nobody the share of the stable arm', () => {
    expect(shown(out(1))).toBe('2=0 3=0 | 1');
    expect(shown(out(1, 2, 3))).toBe(' | 1 2 3');
  });
});

describe('what clients unloaded', () => {
  const two = plan(['loans', ['stable', 1, 1]], ['cards', ['stable', 2, 1]]);
  const unloaded = new Map([
    ['loans', new Set([digestOf(1)])],
    ['cards', new Set([digestOf(2)])],
  ]);

  it('comes back where a new desired state changes the deployment, and only there', () => {
    const changed = desiredFor(executed(two, {}, { engines: 2 }), 2);
    expect([...keepUnloaded(unloaded, desiredFor(two, 1), changed).keys()]).toEqual(['loans']);
    expect(keepUnloaded(unloaded, desiredFor(two, 1), desiredFor(two, 2)).size).toBe(2);
    expect(keepUnloaded(unloaded, desiredFor(two, 1), desiredFor(plan(), 2)).size).toBe(0);
  });

  it('can be only what the control plane has given this host', () => {
    const desired = desiredFor(canary, 1);
    expect(versionsMeant(null, 'loans', 1)).toBe('unknown_model');
    expect(versionsMeant(desired, 'cards', null)).toBe('unknown_model');
    expect(versionsMeant(desired, 'loans', 9)).toBe('unknown_version');
    expect(versionsMeant(desired, 'loans', 2)).toEqual([digestOf(2)]);
    expect(versionsMeant(desired, 'loans', null)).toHaveLength(3);
  });
});
