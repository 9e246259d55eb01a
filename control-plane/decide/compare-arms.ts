/**
 * Evidence for or against a candidate, gathered window by window:
 *
 *     windows of both arms ──▶ joint windows ──▶ blocks of ≥ BLOCK_ROWS ──▶ e-values ──▶ E
 *     (merged over hosts)      same time, both          each arm          (prediction)
 *                              arms answered   ──▶ one e-value per window ──▶ E (errors, NaN)
 *                                              ──▶ pooled sketches ──▶ PSI, inputs, rows
 *
 * Only windows of the same time are compared, so that an evening of the one isn't held against a
 * morning of the other. A window is looked at again when a late host adds to it; windows older
 * than OPEN_WINDOWS are settled and not looked at again.
 */
import type { SharedArm } from '../../protocol/ids.ts';
import {
  emptyWindow,
  type FeatureGrid,
  mergeWindow,
  type WindowGrids,
  type WindowSketch,
} from '../../protocol/sketch/window.ts';
import { compareFeature } from '../../protocol/statistics/drift.ts';
import { logEValue } from '../../protocol/statistics/e-value.ts';
import { compareAcross, type Gap, sameCells } from './compare-inputs.ts';
import { addEvidence, type EProcess, logEvidence, NO_EVIDENCE } from './e-process.ts';
import { logRateTest, rateOf } from './rate-test.ts';

/** What an arm's windows are counted on. */
export interface ArmShape {
  readonly features: readonly string[];
  readonly grids: WindowGrids;
  /** False when the manifest names no prediction: there is nothing to compare then. */
  readonly predicts: boolean;
  /** The profile's sketches; null without a profile. */
  readonly reference: WindowSketch | null;
}

/** Below this a chi-square over 64 score cells has too little power to be worth a step. */
export const BLOCK_ROWS = 100;

/** How long a window waits for late hosts. Bounds the memory of one rollout. */
export const OPEN_WINDOWS = 32;

interface Settled {
  /** Starts before this are settled. */
  beforeMs: number;
  prediction: EProcess;
  errors: EProcess;
  nonFinite: EProcess;
  joint: number;
  block: Pair;
  readonly pooled: Pair;
}

interface Pair {
  readonly stable: WindowSketch;
  readonly candidate: WindowSketch;
}

/** All that is known of a rollout's two arms. Mutable: one per rollout, owned by its watcher. */
export interface ArmLedger {
  readonly shapes: { readonly stable: ArmShape; readonly candidate: ArmShape };
  readonly open: Map<number, Partial<Record<SharedArm, WindowSketch>>>;
  readonly settled: Settled;
  /** Rows that came too late to be compared. */
  lateRows: number;
}

export interface ArmEvidence {
  /** Windows in which both arms answered. */
  readonly windows: number;
  readonly rows: Record<SharedArm, number>;
  readonly requests: Record<SharedArm, number>;
  /** Null when the two predictions can't be compared: none, or counted on different cells. */
  readonly prediction: {
    readonly psi: number;
    readonly logP: number;
    readonly logE: number;
  } | null;
  /** Debiased PSI of the candidate's predictions against its own profile; reported, not judged. */
  readonly psiAgainstProfile: number | null;
  readonly errors: Rates;
  readonly nonFinite: Rates;
  readonly inputs: readonly ({ readonly feature: string } & Gap)[];
}

interface Rates {
  readonly rate: Record<SharedArm, number>;
  readonly logE: number;
}

export function newLedger(shapes: ArmLedger['shapes']): ArmLedger {
  const pair = () => emptyPair(shapes);
  return {
    shapes,
    open: new Map(),
    settled: {
      beforeMs: 0,
      prediction: NO_EVIDENCE,
      errors: NO_EVIDENCE,
      nonFinite: NO_EVIDENCE,
      joint: 0,
      block: pair(),
      pooled: pair(),
    },
    lateRows: 0,
  };
}

/** Adds one host's window. Its start is taken down to a multiple of `windowMs`. */
export function addArmWindow(
  ledger: ArmLedger,
  arm: SharedArm,
  windowStartMs: number,
  windowMs: number,
  window: WindowSketch,
): void {
  const start = windowStartMs - (windowStartMs % windowMs);
  if (start < ledger.settled.beforeMs) {
    ledger.lateRows += window.rows;
    return;
  }
  const joint = ledger.open.get(start) ?? {};
  const into = joint[arm] ?? emptyWindow(ledger.shapes[arm].grids);
  mergeWindow(into, window);
  joint[arm] = into;
  ledger.open.set(start, joint);
  settleOldest(ledger);
}

/** What the arms show so far. Leaves the ledger as it is. */
export function readEvidence(ledger: ArmLedger): ArmEvidence {
  const view = clone(ledger);
  for (const start of [...ledger.open.keys()].sort((a, b) => a - b)) {
    take(view, ledger.shapes, ledger.open.get(start));
  }
  const { stable, candidate } = view.pooled;
  const { shapes } = ledger;
  return {
    windows: view.joint,
    rows: { stable: stable.rows, candidate: candidate.rows },
    requests: { stable: stable.requests, candidate: candidate.requests },
    prediction: predictionOf(shapes, view),
    psiAgainstProfile: againstProfile(shapes.candidate, candidate),
    errors: {
      rate: { stable: rateOf(errorsOf(stable)), candidate: rateOf(errorsOf(candidate)) },
      logE: logEvidence(view.errors),
    },
    nonFinite: {
      rate: { stable: rateOf(nonFiniteOf(stable)), candidate: rateOf(nonFiniteOf(candidate)) },
      logE: logEvidence(view.nonFinite),
    },
    inputs: inputsOf(shapes, view.pooled),
  };
}

function settleOldest(ledger: ArmLedger): void {
  while (ledger.open.size > OPEN_WINDOWS) {
    const oldest = Math.min(...ledger.open.keys());
    take(ledger.settled, ledger.shapes, ledger.open.get(oldest));
    ledger.open.delete(oldest);
    ledger.settled.beforeMs = oldest + 1;
  }
}

/** Lets one window speak, if both arms were asked something in it. */
function take(
  into: Settled,
  shapes: ArmLedger['shapes'],
  joint: Partial<Record<SharedArm, WindowSketch>> | undefined,
): void {
  const { stable, candidate } = joint ?? {};
  // Requests, not rows: an arm that fails every request answers no rows.
  if (stable === undefined || candidate === undefined) return;
  if (stable.requests === 0 || candidate.requests === 0) return;
  into.joint += 1;
  into.errors = addRate(into.errors, errorsOf(stable), errorsOf(candidate));
  into.nonFinite = addRate(into.nonFinite, nonFiniteOf(stable), nonFiniteOf(candidate));
  for (const pair of [into.pooled, into.block]) {
    mergeWindow(pair.stable, stable);
    mergeWindow(pair.candidate, candidate);
  }
  const { block } = into;
  if (Math.min(block.stable.rows, block.candidate.rows) < BLOCK_ROWS) return;
  const grid = commonPrediction(shapes);
  if (grid !== null) {
    const { logP } = compareFeature(block.stable.prediction, block.candidate.prediction, grid);
    into.prediction = addEvidence(into.prediction, logEValue(logP));
  }
  into.block = emptyPair(shapes);
}

function addRate(process: EProcess, stable: ReturnType<typeof errorsOf>, candidate: typeof stable) {
  // Without a single event the test is conditioned on nothing and must not cost evidence.
  if (stable.events + candidate.events === 0) return process;
  return addEvidence(process, logEValue(logRateTest(stable, candidate)));
}

function errorsOf(window: WindowSketch) {
  return { events: Math.min(window.errors, window.requests), trials: window.requests };
}

function nonFiniteOf(window: WindowSketch) {
  return { events: Math.min(window.nonFiniteOutputs, window.rows), trials: window.rows };
}

function predictionOf(shapes: ArmLedger['shapes'], view: Settled): ArmEvidence['prediction'] {
  const grid = commonPrediction(shapes);
  if (grid === null) return null;
  const { stable, candidate } = view.pooled;
  const measure = compareFeature(stable.prediction, candidate.prediction, grid);
  return { psi: measure.psiDebiased, logP: measure.logP, logE: logEvidence(view.prediction) };
}

function againstProfile(shape: ArmShape, window: WindowSketch): number | null {
  if (shape.reference === null || !shape.predicts) return null;
  const { prediction } = shape.grids;
  return compareFeature(shape.reference.prediction, window.prediction, prediction).psiDebiased;
}

function commonPrediction(shapes: ArmLedger['shapes']): FeatureGrid | null {
  const { stable, candidate } = shapes;
  if (!stable.predicts || !candidate.predicts) return null;
  const same = sameCells(stable.grids.prediction, candidate.grids.prediction);
  return same ? stable.grids.prediction : null;
}

function inputsOf(shapes: ArmLedger['shapes'], pooled: Pair): ArmEvidence['inputs'] {
  return shapes.stable.features.flatMap((feature, at) => {
    const other = shapes.candidate.features.indexOf(feature);
    if (other === -1) return [];
    const gap = compareAcross(
      { grid: shapes.stable.grids.features[at], sketch: pooled.stable.features[at] },
      { grid: shapes.candidate.grids.features[other], sketch: pooled.candidate.features[other] },
    );
    return gap === null ? [] : [{ feature, ...gap }];
  });
}

function emptyPair(shapes: ArmLedger['shapes']): Pair {
  return {
    stable: emptyWindow(shapes.stable.grids),
    candidate: emptyWindow(shapes.candidate.grids),
  };
}

function clone(ledger: ArmLedger): Settled {
  const copy = (pair: Pair): Pair => {
    const fresh = emptyPair(ledger.shapes);
    mergeWindow(fresh.stable, pair.stable);
    mergeWindow(fresh.candidate, pair.candidate);
    return fresh;
  };
  const { settled } = ledger;
  return { ...settled, block: copy(settled.block), pooled: copy(settled.pooled) };
}
