import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { DAY_MS, HOUR_MS } from '../../../control-plane/store/rollups.ts';
import { rollups, windows } from '../../../control-plane/store/telemetry-schema.ts';
import { pointCounts } from '../../../control-plane/store/window-pages.ts';
import { emptyWindow, mergeWindow, type WindowSketch } from '../../../protocol/sketch/window.ts';
import { MANIFEST, MergeFixture } from '../../support/merge-fixture.ts';
import { GRIDS, seeded, syntheticWindow } from '../../support/synthetic-windows.ts';

const MINUTE_MS = 60_000;
const START = 20_000 * DAY_MS;

let fixture: MergeFixture;
beforeEach(async () => {
  fixture = await MergeFixture.open();
});
afterEach(() => fixture.close());

/** What is exact in a window: all that is counted. */
function counts(window: WindowSketch) {
  const { requests, rows, errors, features, prediction } = window;
  const cells = [...features, prediction].map((one) => [...one.counts, one.missing]);
  return { requests, rows, errors, cells };
}

const keyed = async () => {
  const stored = await fixture.store.read.select().from(rollups);
  return stored.map(({ updatedAt: _, ...row }) => row);
};

describe('roll-ups', () => {
  it('are exact at every level, whatever came late and whenever they were made and sealed', async () => {
    const step = fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('add'), minute: fc.nat(3 * 1440 - 1) }),
      },
      { weight: 2, arbitrary: fc.constant({ kind: 'roll', minute: 0 }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'sweep', minute: 0 }) },
      { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), minute: fc.nat(9 * 1440) }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'wait', minute: 300 * 1440 }) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 30 }), async (steps) => {
        await fixture.close();
        fixture = await MergeFixture.open();
        fixture.now = START + 3 * DAY_MS;
        const random = seeded(7);
        const truth = emptyWindow(GRIDS);
        for (const { kind, minute } of steps) {
          if (kind === 'roll') await fixture.retention.roll();
          if (kind === 'sweep') await fixture.retention.sweep();
          if (kind === 'wait') fixture.now += minute * MINUTE_MS;
          if (kind !== 'add') continue;
          const window = syntheticWindow(random, { rows: 3, errors: 1 });
          mergeWindow(truth, window);
          await fixture.add(START + 5 * Math.floor(minute / 5) * MINUTE_MS, window);
        }
        for (const stepMs of [0, HOUR_MS, DAY_MS]) {
          const { total } = await fixture.sum(START, START + 3 * DAY_MS, stepMs);
          expect(counts(total)).toEqual(counts(truth));
        }
      }),
      { numRuns: 12, seed: 1 },
    );
  }, 60_000);

  it('are the same made once or many times, and read instead of their windows', async () => {
    const random = seeded(3);
    for (let at = 0; at < 288; at += 1) {
      await fixture.add(START + at * 5 * MINUTE_MS, syntheticWindow(random, { rows: 10 }));
    }
    fixture.now = START + DAY_MS + 2 * MINUTE_MS;
    expect(await fixture.retention.roll()).toBe(25);
    const once = await keyed();
    expect(once).toHaveLength(25);
    expect(await fixture.retention.roll()).toBe(0);
    await fixture.add(START, syntheticWindow(random, { rows: 0 }));
    expect(await fixture.retention.roll()).toBe(2);
    const parts = (rows: typeof once) => rows.map(({ parts: _, ...row }) => row);
    expect(parts(await keyed())).toEqual(parts(once));
    const span = [START, START + DAY_MS] as const;
    expect((await fixture.sum(...span, 0)).rows).toBe(288);
    expect((await fixture.sum(...span, HOUR_MS)).rows).toBe(24);
    expect((await fixture.sum(...span, DAY_MS)).rows).toBe(1);
    expect((await fixture.sum(START + 90 * MINUTE_MS, span[1], HOUR_MS)).rows).toBe(6 + 22);
  });

  it('an hour that still fills is read from its windows, the rest of the day from hours', async () => {
    for (let at = 0; at < 26; at += 1) {
      await fixture.add(START + at * 5 * MINUTE_MS, syntheticWindow(seeded(at), { rows: 2 }));
    }
    fixture.now = START + 130 * MINUTE_MS;
    await fixture.retention.roll();
    expect(await fixture.sum(START, START + DAY_MS, DAY_MS)).toMatchObject({
      rows: 2 + 2,
      total: { rows: 52 },
    });
  });

  it('windows go after two weeks, hours after 400 days, and what they counted stays', async () => {
    for (let at = 0; at < 30; at += 1) {
      await fixture.add(START + at * 60 * MINUTE_MS, syntheticWindow(seeded(at), { rows: 4 }));
    }
    fixture.now = START + 14 * DAY_MS;
    expect(await fixture.retention.sweep()).toBe(0);
    await fixture.retention.roll();
    fixture.now += 2 * HOUR_MS;
    expect(await fixture.retention.sweep()).toBe(2);
    fixture.now = START + 402 * DAY_MS;
    expect(await fixture.retention.sweep()).toBe(28 + 30);
    expect(await fixture.store.read.select().from(windows)).toHaveLength(0);
    expect(await fixture.store.read.select().from(rollups)).toHaveLength(2);
    await fixture.add(START, syntheticWindow(seeded(99), { rows: 5 }));
    for (const stepMs of [0, HOUR_MS, DAY_MS]) {
      const { total } = await fixture.sum(START, START + 2 * DAY_MS, stepMs);
      expect(total.rows).toBe(125);
    }
    const query = { deployment: 'd', arm: null, fromMs: START, toMs: START + 2 * DAY_MS };
    const scope = { ...query, hosts: { agents: [], labels: {} } };
    expect(await pointCounts(fixture.store.read, scope, DAY_MS)).toMatchObject([
      { windowStartMs: START, manifest: MANIFEST, agents: 1, parts: 25, rows: 101 },
      { windowStartMs: START + DAY_MS, agents: 1, rows: 24 },
    ]);
  });
});
