import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { ServingPlan } from '../../../agent/engine/messages.ts';
import {
  planServing,
  type RefusedVersion,
  reportDeployments,
  versionsOf,
} from '../../../agent/rollout/serving-plan.ts';
import {
  type DesiredArm,
  type DesiredState,
  desiredStateSchema,
} from '../../../protocol/desired.ts';
import { reportMessageSchema } from '../../../protocol/report.ts';

const digest = (version: number) => `sha256:${String(version).padStart(64, '0')}`;
const arm = (name: DesiredArm['arm'], version: number, share: number): DesiredArm => ({
  arm: name,
  model: 'mortgage',
  version,
  manifest: digest(version),
  share,
});

function desired(generation: number, ...deployments: [string, ...DesiredArm[]][]): DesiredState {
  return {
    agent: `agt_${'a'.repeat(24)}`,
    generation,
    issuedAt: 0,
    expiresAt: 1,
    deployments: deployments.map(([name, ...arms]) => ({
      name,
      windowMs: 1000,
      serving: { engines: 2 },
      monitoring: {},
      arms,
    })),
  };
}

function refusing(...versions: number[]): ReadonlyMap<string, RefusedVersion> {
  return new Map(
    versions.map((version) => [digest(version), { code: 'golden-mismatch', detail: 'off' }]),
  );
}

/** `name: arm@version=share, ...` of each deployment. */
const show = (plan: ServingPlan) =>
  plan.deployments.map(
    (d) => `${d.name}: ${d.arms.map((a) => `${a.arm}@${a.version}=${a.share}`).join(', ')}`,
  );

const canary = desired(2, ['loans', arm('stable', 1, 0.75), arm('candidate', 2, 0.25)]);
const running = planServing(desired(1, ['loans', arm('stable', 1, 1)]), new Map(), null);

describe('what is served', () => {
  it('is what is wanted when nothing is refused', () => {
    const plan = planServing(canary, new Map(), running);
    expect(show(plan)).toEqual(['loans: stable@1=0.75, candidate@2=0.25']);
    expect(plan.generation).toBe(2);
  });

  it('DESIRED-3: is the stable arm for all when the candidate is refused', () => {
    expect(show(planServing(canary, refusing(2), running))).toEqual(['loans: stable@1=1']);
    const reversed = desired(2, ['loans', arm('candidate', 2, 0.25), arm('stable', 1, 0.75)]);
    expect(show(planServing(reversed, refusing(2), running))).toEqual(['loans: stable@1=1']);
  });

  it('DESIRED-4: stays what it was when the stable version is refused', () => {
    const update = desired(2, ['loans', arm('stable', 3, 1)]);
    expect(show(planServing(update, refusing(3), running))).toEqual(['loans: stable@1=1']);
    const during = planServing(canary, new Map(), running);
    expect(show(planServing(update, refusing(3), during))).toEqual(['loans: stable@1=1']);
    const both = desired(2, ['loans', arm('stable', 3, 0.5), arm('candidate', 2, 0.5)]);
    expect(show(planServing(both, refusing(3), running))).toEqual(['loans: stable@1=1']);
  });

  it('DESIRED-5: is nothing where nothing may run', () => {
    const first = desired(1, ['loans', arm('stable', 3, 1)], ['cards', arm('stable', 1, 1)]);
    expect(show(planServing(first, refusing(3), null))).toEqual(['cards: stable@1=1']);
    expect(show(planServing(first, refusing(3, 1), running))).toEqual([]);
    expect(show(planServing(desired(2), new Map(), running))).toEqual([]);
  });

  it('DESIRED-12: is executed as is wanted, also where an older version is kept', () => {
    expect(running.deployments.map(({ serving }) => serving)).toEqual([{ engines: 2 }]);
    const update = desired(2, ['loans', arm('stable', 3, 1)]);
    update.deployments[0].serving = { placement: 'worker' };
    const kept = planServing(update, refusing(3), running);
    expect(kept.deployments[0].serving).toEqual({ placement: 'worker' });
  });

  it('DESIRED-11: is all but a pinned version that is refused', () => {
    const wanted = desired(2, [
      'loans',
      arm('stable', 1, 1),
      arm('pinned', 2, 0),
      arm('pinned', 3, 0),
    ]);
    const all = 'loans: stable@1=1, pinned@2=0, pinned@3=0';
    expect(show(planServing(wanted, new Map(), running))).toEqual([all]);
    expect(show(planServing(wanted, refusing(2), running))).toEqual([
      'loans: stable@1=1, pinned@3=0',
    ]);
  });

  it('DESIRED-4: keeps the stable version that ran, once, and lets pinned versions come and go', () => {
    const wanted = desired(2, [
      'loans',
      arm('stable', 4, 1),
      arm('pinned', 1, 0),
      arm('pinned', 2, 0),
    ]);
    expect(show(planServing(wanted, refusing(4), running))).toEqual([
      'loans: stable@1=1, pinned@2=0',
    ]);
    // A pinned version alone has no traffic to answer: the deployment is not there.
    expect(show(planServing(wanted, refusing(4), null))).toEqual([]);
    const candidate = desired(2, ['loans', arm('pinned', 2, 0), arm('candidate', 3, 1)]);
    expect(show(planServing(candidate, refusing(3), running))).toEqual([
      'loans: stable@1=1, pinned@2=0',
    ]);
  });

  it('names each version once', () => {
    const twice = desired(
      1,
      ['a', arm('stable', 1, 1)],
      ['b', arm('stable', 1, 0), arm('candidate', 2, 1)],
    );
    expect(versionsOf(twice)).toEqual([digest(1), digest(2)]);
  });
});

const anyArms = fc
  .tuple(
    fc.integer({ min: 1, max: 4 }),
    fc.integer({ min: 1, max: 4 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.nat(3),
  )
  .map(([one, two, share, shape]): DesiredArm[] => {
    if (shape === 0) return [arm('stable', one, 1)];
    const both = [arm('stable', one, 1 - share), arm('candidate', two, share)];
    if (shape === 3) return [...both, arm('pinned', 5, 0), arm('pinned', 6, 0)];
    return shape === 1 ? both : both.reverse();
  });
const anyDesired = fc
  .tuple(
    fc.integer({ min: 1 }),
    fc.uniqueArray(fc.constantFrom('a', 'b', 'c'), { minLength: 1 }),
    fc.array(anyArms, { minLength: 3, maxLength: 3 }),
  )
  .map(([generation, names, arms]) =>
    desired(generation, ...names.map((name, at): [string, ...DesiredArm[]] => [name, ...arms[at]])),
  );
const anyRefused = fc.subarray([1, 2, 3, 4, 5, 6]).map((versions) => refusing(...versions));

describe('every plan and every report', () => {
  it('DESIRED-5: serves no refused version, shares that add up to 1, and only what is named', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyDesired, anyRefused), { minLength: 1, maxLength: 5 }),
        (steps) => {
          let plan: ServingPlan | null = null;
          for (const [wanted, refused] of steps) {
            desiredStateSchema.parse(wanted);
            plan = planServing(wanted, refused, plan);
            expect(plan.deployments.map((d) => d.name)).toSatisfy((names: string[]) =>
              names.every((name) => wanted.deployments.some((d) => d.name === name)),
            );
            for (const { arms } of plan.deployments) {
              expect(arms.some((each) => refused.has(each.manifest))).toBe(false);
              expect(arms.reduce((sum, each) => sum + each.share, 0)).toBeCloseTo(1, 8);
              const pinned = arms.filter(({ arm: name }) => name === 'pinned');
              expect(pinned.every(({ share }) => share === 0)).toBe(true);
              expect(pinned.length).toBeLessThan(arms.length);
            }
          }
        },
      ),
    );
  });

  it('REPORT-1: fits the wire, and says of each wanted arm whether it serves, is fetched or refused', () => {
    fc.assert(
      fc.property(
        anyDesired,
        anyRefused,
        anyDesired,
        anyRefused,
        (before, refusedBefore, wanted, refused) => {
          const serving = planServing(before, refusedBefore, null);
          const deployments = reportDeployments(wanted, refused, serving);
          const report = {
            kind: 'report',
            observed: wanted.generation,
            applied: 0,
            at: 0,
            deployments,
          };
          expect(reportMessageSchema.parse(report).deployments).toEqual(deployments);
          for (const [at, { arms }] of wanted.deployments.entries()) {
            for (const [k, each] of arms.entries()) {
              const { state } = deployments[at].arms[k];
              if (refused.has(each.manifest)) expect(state).toBe('refused');
              else expect(['serving', 'fetching']).toContain(state);
            }
          }
        },
      ),
    );
  });
});

describe('a report', () => {
  it('says "fetching" of what could not be downloaded yet: no NACK, which would take a rollout back', () => {
    const away = new Map([
      [digest(2), { code: 'artifact-unavailable', detail: 'cut off' } as const],
    ]);
    const plan = planServing(canary, away, running);
    const [{ arms }] = reportDeployments(canary, away, plan);
    expect(arms.map((each) => each.state)).toEqual(['serving', 'fetching']);
  });

  it('REPORT-2: names what is served in place of what was refused, with the refusal', () => {
    const update = desired(2, ['loans', arm('stable', 3, 1)]);
    const plan = planServing(update, refusing(3), running);
    expect(reportDeployments(update, refusing(3), plan)).toEqual([
      {
        name: 'loans',
        arms: [
          {
            arm: 'stable',
            version: 3,
            manifest: digest(3),
            state: 'refused',
            code: 'golden-mismatch',
            detail: 'off',
          },
          { arm: 'stable', version: 1, manifest: digest(1), state: 'serving', share: 1 },
        ],
      },
    ]);
  });

  it('REPORT-1: says "fetching" before anything is served', () => {
    const [{ arms }] = reportDeployments(canary, new Map(), null);
    expect(arms.map((each) => each.state)).toEqual(['fetching', 'fetching']);
  });
});
