import { describe, expect, it } from 'vitest';
import { enginesWanted } from '../../../agent/rollout/engines-wanted.ts';
import { rememberFallbacks, STEADY_MS, stableSince } from '../../../agent/rollout/fallback.ts';
import { modelsToOpen } from '../../../agent/rollout/models-to-open.ts';
import { planServing } from '../../../agent/rollout/serving-plan.ts';
import { desiredFor, digestOf, executed, plan } from './plans.ts';

const stable = (version: number) => plan(['loans', ['stable', version, 1]]);
const versionsOf = (fallbacks: ReadonlyMap<string, { version: number }>) =>
  [...fallbacks].map(([name, { version }]) => `${name}@${version}`);

function remember(known: number | null, before: number, after: number, servedMs: number) {
  const fallbacks = new Map(
    known === null ? [] : [['loans', stable(known).deployments[0].arms[0]] as const],
  );
  const context = { sinceMs: new Map([['loans', 0]]), nowMs: servedMs, isBad: () => false };
  return versionsOf(rememberFallbacks(fallbacks, stable(before), stable(after), context));
}

describe('what a deployment falls back to', () => {
  it('is the version before, once that has served steadily', () => {
    expect(remember(1, 2, 3, STEADY_MS)).toEqual(['loans@2']);
    expect(remember(1, 2, 3, STEADY_MS - 1)).toEqual(['loans@1']);
  });

  it('is the version before in any case where nothing better is known', () => {
    expect(remember(null, 1, 2, 0)).toEqual(['loans@1']);
  });

  it('stays when the version does, and is never one that was refused', () => {
    expect(remember(1, 2, 2, STEADY_MS)).toEqual(['loans@1']);
    const isBad = (name: string, { version }: { version: number }) =>
      name === 'loans' && version === 2;
    const context = { sinceMs: new Map(), nowMs: 0, isBad };
    expect(versionsOf(rememberFallbacks(new Map(), stable(2), stable(1), context))).toEqual([]);
  });

  it('goes with its deployment', () => {
    const context = { sinceMs: new Map(), nowMs: 0, isBad: () => false };
    const known = new Map([['gone', stable(1).deployments[0].arms[0]]]);
    expect(versionsOf(rememberFallbacks(known, null, stable(1), context))).toEqual([]);
  });

  it('serves when the version that runs is itself refused', () => {
    const refused = new Map([[digestOf(2), { code: 'engine-crashed', detail: '' } as const]]);
    const fallbacks = new Map([['loans', stable(1).deployments[0].arms[0]]]);
    const wanted = desiredFor(stable(2), 5);
    const served = planServing(wanted, refused, stable(2), fallbacks);
    expect(served.deployments[0].arms).toEqual(stable(1).deployments[0].arms);
    expect(planServing(wanted, refused, stable(2)).deployments).toEqual([]);
  });

  it('counts the time of a version from when it became stable', () => {
    const first = stableSince(new Map(), null, stable(1), 10);
    expect([...first]).toEqual([['loans', 10]]);
    expect([...stableSince(first, stable(1), stable(1), 20)]).toEqual([['loans', 10]]);
    expect([...stableSince(first, stable(1), stable(2), 20)]).toEqual([['loans', 20]]);
  });
});

describe('the engines of a host', () => {
  const two = plan(['a', ['stable', 1, 1]], ['b', ['stable', 2, 1]]);
  it.each([
    ['as configured', two, 2, 8, 2],
    ['as many as the greediest asks', executed(two, { engines: 3 }, { engines: 5 }), 2, 8, 5],
    ['no fewer than others are content with', executed(two, { engines: 1 }), 2, 8, 2],
    ['fewer when all ask for fewer', executed(two, { engines: 1 }, { engines: 1 }), 2, 8, 1],
    ['no more than there are cores', executed(two, { engines: 50 }), 2, 4, 4],
    ['no more than configured on few cores', executed(two, { engines: 50 }), 6, 4, 6],
    ['as configured while nothing is served', plan(), 3, 8, 3],
  ])('are %s', (_, wanted, configured, cores, expected) => {
    expect(enginesWanted(wanted, configured, cores)).toBe(expected);
  });
});

describe('what engines open', () => {
  it('is each version once for each way in which it is executed', () => {
    const shared = plan(
      ['a', ['stable', 1, 1]],
      ['b', ['stable', 1, 1], ['candidate', 2, 0]],
      ['c', ['stable', 1, 1]],
    );
    const files = (manifest: string) => ({
      ...{ manifest, manifestPath: '', modelPath: '', profilePath: null, goldenPath: null },
    });
    const wanted = executed(shared, {}, { batching: { maxBatchSize: 8 } }, { placement: 'worker' });
    const opened = modelsToOpen(wanted, files);
    expect(opened.map((each) => [each.files.manifest, each.execution.placement])).toEqual([
      [digestOf(1), undefined],
      [digestOf(2), undefined],
      [digestOf(1), 'worker'],
    ]);
    expect(modelsToOpen(wanted, () => null)).toEqual([]);
  });
});
