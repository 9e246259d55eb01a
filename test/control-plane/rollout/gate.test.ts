import { describe, expect, it } from 'vitest';
import {
  type ArmLedger,
  type ArmShape,
  addArmWindow,
  newLedger,
  OPEN_WINDOWS,
  readEvidence,
} from '../../../control-plane/decide/compare-arms.ts';
import { DEFAULT_GATE, judge } from '../../../control-plane/rollout/gate.ts';
import { GRIDS, seeded, syntheticWindow, type Traffic } from '../../support/synthetic-windows.ts';

const SHAPE: ArmShape = { features: ['x'], grids: GRIDS, predicts: true, reference: null };
const WINDOW_MS = 2_000;
const policy = { ...DEFAULT_GATE, observeMs: 10_000 };

/** Plays windows into a ledger; the gate looks after each. */
function play(seed: number, windows: number, stable: Traffic, candidate: Traffic) {
  const random = seeded(seed);
  const ledger = newLedger({ stable: SHAPE, candidate: SHAPE });
  const verdicts = [];
  for (let at = 0; at < windows; at += 1) {
    const start = 1_000_000 + at * WINDOW_MS;
    addArmWindow(ledger, 'stable', start, WINDOW_MS, syntheticWindow(random, stable));
    addArmWindow(ledger, 'candidate', start, WINDOW_MS, syntheticWindow(random, candidate));
    verdicts.push(judge(readEvidence(ledger), 1, (at + 1) * WINDOW_MS, policy));
  }
  return { ledger, verdicts };
}

const reasonsOf = (ledger: ArmLedger, observedMs: number) => {
  const verdict = judge(readEvidence(ledger), 1, observedMs, policy);
  return verdict.verdict === 'inconclusive' ? verdict.reasons.map((r) => r.kind) : verdict.verdict;
};

describe('the canary gate', () => {
  it('never fails a healthy candidate over 200 rollouts, and passes each when observed', () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const { verdicts } = play(seed, 12, { rows: 120 }, { rows: 60 });
      expect(verdicts.map((v) => v.verdict)).not.toContain('fail');
      expect(verdicts.at(-1)?.verdict).toBe('pass');
    }
  });

  it('fails a candidate whose scores moved within two windows, with evidence', () => {
    for (let seed = 1; seed <= 50; seed += 1) {
      const { verdicts } = play(seed, 2, { rows: 240 }, { rows: 120, scoreShift: 1 });
      const last = verdicts[1];
      expect(last.verdict).toBe('fail');
      expect(last.evidence?.prediction?.psi).toBeGreaterThan(0.1);
      expect(last.evidence?.prediction?.logE).toBeGreaterThan(Math.log(1000));
      expect(last.evidence?.rows).toEqual({ stable: 480, candidate: 240 });
    }
  });

  it('finds a fault that begins late as fast as one that begins at once', () => {
    const { ledger } = play(7, 100, { rows: 120 }, { rows: 120 });
    const random = seeded(8);
    let failedAfter = 0;
    for (let at = 100; at < 160 && failedAfter === 0; at += 1) {
      const start = 1_000_000 + at * WINDOW_MS;
      addArmWindow(ledger, 'stable', start, WINDOW_MS, syntheticWindow(random, { rows: 120 }));
      const bad = syntheticWindow(random, { rows: 120, errors: 40 });
      addArmWindow(ledger, 'candidate', start, WINDOW_MS, bad);
      if (judge(readEvidence(ledger), 1, 1e9, policy).verdict === 'fail') failedAfter = at - 99;
    }
    expect(failedAfter).toBeGreaterThan(0);
    expect(failedAfter).toBeLessThanOrEqual(6);
    expect(ledger.open.size).toBe(OPEN_WINDOWS);
  });

  it('does not blame a candidate that got other inputs', () => {
    for (let seed = 1; seed <= 20; seed += 1) {
      const { verdicts, ledger } = play(seed, 12, { rows: 240 }, { rows: 240, inputShift: 1.5 });
      expect(verdicts.map((v) => v.verdict)).not.toContain('fail');
      expect(reasonsOf(ledger, 1e9)).toEqual(['inputs-differ']);
    }
  });

  it('says inconclusive, and why, when there is nothing to go by', () => {
    expect(judge(null, 0, 1e9, policy)).toMatchObject({
      verdict: 'inconclusive',
      reasons: [{ kind: 'empty-cohort' }],
    });
    const silent = newLedger({ stable: SHAPE, candidate: SHAPE });
    expect(reasonsOf(silent, 1e9)).toEqual(['no-joint-windows']);
    const oneSided = newLedger({ stable: SHAPE, candidate: SHAPE });
    addArmWindow(oneSided, 'candidate', 0, WINDOW_MS, syntheticWindow(seeded(1), { rows: 900 }));
    expect(reasonsOf(oneSided, 1e9)).toEqual(['no-joint-windows']);
    expect(reasonsOf(play(1, 2, { rows: 40 }, { rows: 40 }).ledger, 1e9)).toEqual(['too-few-rows']);
    expect(reasonsOf(play(1, 2, { rows: 400 }, { rows: 400 }).ledger, 1)).toEqual(['observing']);
  });

  it('fails on errors even when the candidate answers nothing at all', () => {
    const { verdicts } = play(3, 1, { rows: 100 }, { rows: 0, errors: 60 });
    expect(verdicts[0]).toMatchObject({ verdict: 'fail', reasons: [{ kind: 'errors' }] });
  });

  it('does not fail on one stray error, nor on errors that both versions have', () => {
    const stray = play(4, 5, { rows: 400 }, { rows: 60, errors: 1 });
    expect(stray.verdicts.map((v) => v.verdict)).not.toContain('fail');
    const shared = play(5, 20, { rows: 100, errors: 20 }, { rows: 100, errors: 20 });
    expect(shared.verdicts.map((v) => v.verdict)).not.toContain('fail');
  });

  it('fails on non-finite outputs', () => {
    const { verdicts } = play(6, 2, { rows: 240 }, { rows: 240, nonFinite: 30 });
    expect(verdicts[1]).toMatchObject({
      verdict: 'fail',
      reasons: [{ kind: 'non-finite-outputs' }],
    });
  });

  it('reads the same from parts as from the whole, and reading changes nothing', () => {
    const random = seeded(9);
    const ledger = newLedger({ stable: SHAPE, candidate: SHAPE });
    for (const host of [0, 1, 2]) {
      for (const arm of ['stable', 'candidate'] as const) {
        // Hosts' clocks differ a little: the window is the same.
        const start = 4_000 + host;
        addArmWindow(ledger, arm, start, WINDOW_MS, syntheticWindow(random, { rows: 50 }));
      }
    }
    const first = readEvidence(ledger);
    expect(first).toMatchObject({ windows: 1, rows: { stable: 150, candidate: 150 } });
    expect(readEvidence(ledger)).toEqual(first);
  });
});
