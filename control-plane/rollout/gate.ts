import type { ArmEvidence } from '../decide/compare-arms.ts';

/** When a candidate is taken back, and when it may go on. */
export interface GatePolicy {
  /** Rows each arm must have answered before anything is decided. */
  readonly minRows: number;
  readonly observeMs: number;
  /** Effect floor: debiased PSI of the predictions, in nats. */
  readonly maxPsi: number;
}

export const DEFAULT_GATE: GatePolicy = { minRows: 200, observeMs: 300_000, maxPsi: 0.1 };

/** ln 1000: at most one false rollback in a thousand healthy rollouts, however often one looks. */
export const LOG_FAIL_EVIDENCE = Math.log(1000);

/** Arms whose inputs differ this much saw different traffic: then predictions differ rightly. */
export const INPUT_PSI = 0.25;
/** The same where only moments can be compared: half a standard deviation. */
export const INPUT_MEAN_SHIFT = 0.5;
export const INPUT_LOG_P = Math.log(1e-6);

/** Effect floor of the error gates: one request (or row) in a hundred more than the stable arm. */
export const MIN_RATE_INCREASE = 0.01;

/** Fewer requests than this don't condemn a version, even if every one failed. */
export const MIN_ERROR_REQUESTS = 20;

export type FailReason = 'prediction-drift' | 'errors' | 'non-finite-outputs';
export type WaitReason =
  | 'empty-cohort'
  | 'no-joint-windows'
  | 'too-few-rows'
  | 'inputs-differ'
  | 'observing';

export interface GateReason<Kind extends string> {
  readonly kind: Kind;
  readonly detail: string;
}

export type GateVerdict = { readonly evidence: ArmEvidence | null } & (
  | { readonly verdict: 'pass' }
  | { readonly verdict: 'fail'; readonly reasons: readonly GateReason<FailReason>[] }
  | { readonly verdict: 'inconclusive'; readonly reasons: readonly GateReason<WaitReason>[] }
);

/**
 * Pass, fail or inconclusive. Missing or too little data never passes and never fails. Failing
 * takes evidence and effect together: a difference that is certain but tiny is no fault, one that
 * is large in a hundred rows may be chance.
 */
export function judge(
  evidence: ArmEvidence | null,
  cohortSize: number,
  observedMs: number,
  policy: GatePolicy,
): GateVerdict {
  if (evidence === null || cohortSize === 0) {
    const detail = 'no host is in the canary';
    return { verdict: 'inconclusive', evidence, reasons: [{ kind: 'empty-cohort', detail }] };
  }
  const different = differingInputs(evidence);
  const faults = [
    ...rateFaults(evidence, policy),
    ...(different.length === 0 ? predictionFault(evidence, policy) : []),
  ];
  if (faults.length > 0) return { verdict: 'fail', evidence, reasons: faults };
  const waits = waitReasons(evidence, different, observedMs, policy);
  if (waits.length > 0) return { verdict: 'inconclusive', evidence, reasons: waits };
  return { verdict: 'pass', evidence };
}

function enoughRows(evidence: ArmEvidence, policy: GatePolicy): boolean {
  return Math.min(evidence.rows.stable, evidence.rows.candidate) >= policy.minRows;
}

function predictionFault(
  evidence: ArmEvidence,
  policy: GatePolicy,
): GateReason<'prediction-drift'>[] {
  const { prediction } = evidence;
  if (prediction === null || !enoughRows(evidence, policy)) return [];
  if (prediction.logE < LOG_FAIL_EVIDENCE || prediction.psi < policy.maxPsi) return [];
  const detail =
    `the candidate predicts differently from the stable version: PSI ${prediction.psi.toFixed(3)} ` +
    `(at most ${policy.maxPsi}), e-value 1e${(prediction.logE / Math.LN10).toFixed(1)} over ` +
    `${evidence.rows.candidate} against ${evidence.rows.stable} rows`;
  return [{ kind: 'prediction-drift', detail }];
}

function rateFaults(
  evidence: ArmEvidence,
  policy: GatePolicy,
): GateReason<'errors' | 'non-finite-outputs'>[] {
  const faults: GateReason<'errors' | 'non-finite-outputs'>[] = [];
  const requests = Math.min(evidence.requests.stable, evidence.requests.candidate);
  if (requests >= MIN_ERROR_REQUESTS && tooHigh(evidence.errors)) {
    faults.push({ kind: 'errors', detail: showRates('failed requests', evidence.errors.rate) });
  }
  if (enoughRows(evidence, policy) && tooHigh(evidence.nonFinite)) {
    const detail = showRates('rows with NaN or infinite output', evidence.nonFinite.rate);
    faults.push({ kind: 'non-finite-outputs', detail });
  }
  return faults;
}

function tooHigh(rates: ArmEvidence['errors']): boolean {
  const increase = rates.rate.candidate - rates.rate.stable;
  return rates.logE >= LOG_FAIL_EVIDENCE && increase >= MIN_RATE_INCREASE;
}

function showRates(what: string, rate: { stable: number; candidate: number }): string {
  const percent = (share: number) => `${(100 * share).toFixed(2)} %`;
  return `${what}: ${percent(rate.candidate)} on the candidate, ${percent(rate.stable)} on stable`;
}

function differingInputs(evidence: ArmEvidence): ArmEvidence['inputs'] {
  return evidence.inputs.filter((input) => {
    const far =
      input.psi === null ? (input.meanShift ?? 0) >= INPUT_MEAN_SHIFT : input.psi >= INPUT_PSI;
    return far && input.logP < INPUT_LOG_P;
  });
}

function waitReasons(
  evidence: ArmEvidence,
  different: ArmEvidence['inputs'],
  observedMs: number,
  policy: GatePolicy,
): GateReason<WaitReason>[] {
  const reasons: GateReason<WaitReason>[] = [];
  const wait = (kind: WaitReason, detail: string) => reasons.push({ kind, detail });
  if (evidence.windows === 0) {
    wait('no-joint-windows', 'there is no window in which both versions were asked something');
  } else if (!enoughRows(evidence, policy)) {
    const { stable, candidate } = evidence.rows;
    wait('too-few-rows', `${candidate} candidate and ${stable} stable rows of ${policy.minRows}`);
  }
  if (different.length > 0) {
    const names = different.map((input) => input.feature).join(', ');
    wait('inputs-differ', `the versions got different traffic: ${names}`);
  }
  if (observedMs < policy.observeMs) {
    wait('observing', `${Math.floor(observedMs / 1000)} s of ${policy.observeMs / 1000} s`);
  }
  return reasons;
}
