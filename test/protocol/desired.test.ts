import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { desiredDeploymentSchema, desiredStateSchema } from '../../protocol/desired.ts';
import {
  MAX_ARMS,
  MAX_DEPLOYMENTS_PER_AGENT,
  MAX_WINDOW_MS,
  MIN_WINDOW_MS,
} from '../../protocol/limits.ts';
import { describe as describeIssues } from '../../protocol/wire.ts';

const arm = (name: 'stable' | 'candidate' | 'pinned', share: number, version = 1) => ({
  arm: name,
  model: 'mortgage',
  version,
  manifest: `sha256:${String(version).padStart(64, '0')}`,
  share,
});
const deployment = (arms: unknown[], windowMs = 1000, serving?: unknown) => ({
  name: 'loans',
  windowMs,
  arms,
  ...(serving === undefined ? {} : { serving }),
});

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

  it('DESIRED-2: are at most one stable and one candidate, and eight in all', () => {
    expect(reasonOf(deployment([arm('stable', 0.5), arm('stable', 0.5)]))).toContain('named twice');
    expect(reasonOf(deployment([]))).toContain('arms');
    const three = [arm('stable', 0.5), arm('candidate', 0.5), arm('candidate', 0)];
    expect(reasonOf(deployment(three))).toContain('named twice');
    const pinned = (count: number) =>
      deployment([
        arm('stable', 1),
        ...Array.from({ length: count }, (_, at) => arm('pinned', 0, 10 + at)),
      ]);
    expect(reasonOf(pinned(MAX_ARMS - 1))).toBeNull();
    expect(reasonOf(pinned(MAX_ARMS))).toContain('arms');
  });

  it('DESIRED-10: of which the pinned ones have no share, and versions of their own', () => {
    const rollout = [arm('stable', 0.5, 1), arm('candidate', 0.5, 2)];
    expect(reasonOf(deployment([...rollout, arm('pinned', 0, 3), arm('pinned', 0, 4)]))).toBeNull();
    const sharing = [arm('stable', 0.5, 1), arm('pinned', 0.5, 3)];
    expect(reasonOf(deployment(sharing))).toContain('share 0');
    for (const version of [1, 2, 3]) {
      const twice = [...rollout, arm('pinned', 0, 3), arm('pinned', 0, version)];
      expect(reasonOf(deployment(twice)), String(version)).toContain('there twice');
    }
  });

  it.each([-0.1, 1.1, Number.NaN])('DESIRED-2: have no share of %d', (share) => {
    expect(reasonOf(deployment([arm('stable', 1 - share), arm('candidate', share)]))).toMatch(
      /share/,
    );
  });
});

describe('DESIRED-12: how a deployment is executed', () => {
  const stable = [arm('stable', 1)];

  it('may be left out, as by older control planes: then nothing is given', () => {
    expect(desiredDeploymentSchema.parse(deployment(stable)).serving).toEqual({});
    const serving = { placement: 'worker', workers: 2, batching: { maxBatchSize: 8 } };
    expect(desiredDeploymentSchema.parse(deployment(stable, 1000, serving)).serving).toEqual(
      serving,
    );
  });

  it.each([
    [{ batching: { maxBatchSize: 1 } }, { batching: { maxBatchSize: 0 } }],
    [{ batching: { maxBatchSize: 4096 } }, { batching: { maxBatchSize: 4097 } }],
    [{ batching: { maxQueueDelayUs: 0 } }, { batching: { maxQueueDelayUs: 1_000_001 } }],
    [{ batching: { maxQueueRequests: 100_000 } }, { batching: { maxQueueRequests: 100_001 } }],
    [{ batching: { timeoutUs: 1 } }, { batching: { timeoutUs: 0 } }],
    [{ workers: 64 }, { workers: 65 }],
    [{ intraOpThreads: 64 }, { intraOpThreads: 65 }],
    [{ engines: 64 }, { engines: 0 }],
    [{ placement: 'inline' }, { placement: 'elsewhere' }],
    [{ providers: ['cuda', 'cpu'] }, { providers: ['cpu', 'cpu'] }],
    [{ providers: ['cpu'] }, { providers: [] }],
  ])('takes %j and not %j', (good, bad) => {
    expect(reasonOf(deployment(stable, 1000, good))).toBeNull();
    expect(reasonOf(deployment(stable, 1000, bad))).toContain(`serving.${Object.keys(bad)[0]}`);
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
