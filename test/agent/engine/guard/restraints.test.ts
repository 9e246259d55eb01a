import { describe, expect, it } from 'vitest';
import { type Closing, restrained, tripKey } from '../../../../agent/engine/restraints.ts';
import type { ServedArm, ServedDeployment } from '../../../../agent/engine/serve/routing.ts';
import type { Arm } from '../../../../protocol/ids.ts';

/** As much of an arm as is looked at. */
const arm = (name: Arm, version: number, share: number) =>
  ({ arm: name, version, share, key: `v${version}` }) as ServedArm;

function deployment(
  arms: readonly ServedArm[],
  more: Partial<ServedDeployment> = {},
): ServedDeployment {
  return {
    ...{ name: 'loans', windowMs: 1000, window: { startMs: 0, decisionPrefix: '' } },
    ...{ timeoutUs: null, unloaded: [], standby: null, withoutLastGood: 'serve', closed: null },
    arms,
    ...more,
  };
}

const shown = ({ arms, closed }: ServedDeployment) => [
  arms.map(({ arm: name, version, share }) => `${name}@${version}=${share}`).join(', '),
  closed?.code ?? 'open',
];
const without =
  (...keys: readonly string[]) =>
  (key: string) =>
    keys.includes(key);

describe('GUARD-3: without what a guard took back', () => {
  const canary = [arm('stable', 2, 0.75), arm('candidate', 3, 0.25), arm('pinned', 1, 0)];
  const standby = arm('stable', 1, 0);

  it('the standby takes the place of the stable version, with all of the traffic', () => {
    const planned = deployment(canary, { standby });
    expect(shown(restrained(planned, without('v2'), null))).toEqual([
      'stable@1=1, pinned@1=0',
      'open',
    ]);
  });

  it('the stable version takes the share of a candidate, and a pinned one is left out', () => {
    const planned = deployment(canary, { standby });
    expect(shown(restrained(planned, without('v3'), null))).toEqual([
      'stable@2=1, pinned@1=0',
      'open',
    ]);
    expect(shown(restrained(planned, without('v1'), null))).toEqual([
      'stable@2=0.75, candidate@3=0.25',
      'open',
    ]);
  });

  it('GUARD-4: with nothing to go back to, the policy says whether it goes on or answers 503', () => {
    const alone = [arm('stable', 2, 1)];
    const serve = restrained(deployment(alone), without('v2'), null);
    expect(shown(serve)).toEqual(['stable@2=1', 'open']);
    const refuse = restrained(
      deployment(alone, { withoutLastGood: 'refuse' }),
      without('v2'),
      null,
    );
    expect(shown(refuse)).toEqual(['stable@2=1', 'guard_tripped']);
    expect(refuse.closed?.message).toContain('version 2');
    // A standby that was taken back itself is none.
    const both = (withoutLastGood: 'serve' | 'refuse') =>
      shown(
        restrained(deployment(canary, { standby, withoutLastGood }), without('v2', 'v1'), null),
      );
    expect(both('refuse')[1]).toBe('guard_tripped');
    expect(both('serve')).toEqual(['stable@1=1', 'open']);
  });

  it('a lapsed lease closes a deployment whatever answers for it, and a lifted one opens it', () => {
    const closing: Closing = { code: 'lease_lapsed', message: 'away' };
    const planned = deployment(canary, { standby });
    expect(shown(restrained(planned, without('v2'), closing))[1]).toBe('lease_lapsed');
    expect(restrained(planned, without(), null)).toBe(planned);
  });
});

it('a use of a version is named by deployment, version and decision', () => {
  const manifest = `sha256:${'a'.repeat(64)}`;
  const keys = [
    tripKey('loans', { manifest }),
    tripKey('loans', { manifest, decidedAt: 1 }),
    tripKey('loans', { manifest, decidedAt: 2 }),
    tripKey('cards', { manifest, decidedAt: 2 }),
  ];
  expect(new Set(keys).size).toBe(4);
});
