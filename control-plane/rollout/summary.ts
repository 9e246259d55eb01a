import type { ArmEvidence } from '../decide/compare-arms.ts';
import type { GateVerdict } from './gate.ts';

/** Inputs shown with a verdict, strongest first. A model may have thousands. */
const SHOWN_INPUTS = 10;

/** A verdict as it is kept, shown and written into the record: plain JSON, finite numbers. */
export interface GateSummary {
  readonly verdict: GateVerdict['verdict'];
  readonly kinds: readonly string[];
  readonly reasons: readonly string[];
  readonly secondsSinceStart: number;
  readonly evidence: ReturnType<typeof evidenceOf> | null;
}

export function summarize(verdict: GateVerdict, sinceStartMs: number): GateSummary {
  const reasons = verdict.verdict === 'pass' ? [] : verdict.reasons;
  return {
    verdict: verdict.verdict,
    kinds: reasons.map((reason) => reason.kind),
    reasons: reasons.map((reason) => reason.detail),
    secondsSinceStart: sinceStartMs / 1000,
    evidence: verdict.evidence === null ? null : evidenceOf(verdict.evidence),
  };
}

function evidenceOf(evidence: ArmEvidence) {
  const { prediction, windows, rows, requests, errors, nonFinite } = evidence;
  const inputs = [...evidence.inputs]
    .sort((a, b) => (b.psi ?? b.meanShift ?? 0) - (a.psi ?? a.meanShift ?? 0))
    .slice(0, SHOWN_INPUTS)
    .map(({ feature, psi, meanShift }) => ({ feature, psi, meanShift }));
  return {
    windows,
    rows,
    requests,
    psi: prediction?.psi ?? null,
    logE: prediction === null ? null : finite(prediction.logE),
    /** The candidate's predictions against its own profile: what its author expected. */
    psiAgainstProfile: evidence.psiAgainstProfile,
    errorRate: errors.rate,
    nonFiniteRate: nonFinite.rate,
    inputs,
  };
}

/** JSON writes Infinity as null. */
function finite(value: number): number {
  return Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);
}
