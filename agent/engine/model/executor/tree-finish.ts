import type { Finish, PostTransform, Votes } from './tree-step.ts';

/** |score| up to which SOFTMAX_ZERO takes a score for zero (ml_common.h of ONNX Runtime). */
const ZERO_SCORE = Math.fround(0.0000001);

/** 1 / (1 + e^-x) in float32 steps, on the side where e^-|x| cannot overflow. */
export function logistic(value: number): number {
  const half = Math.fround(1 / Math.fround(1 + Math.fround(Math.exp(-Math.abs(value)))));
  return value < 0 ? Math.fround(1 - half) : half;
}

/** Turns scores into outputs, in place. A class without a vote counts as 0, whatever its base value. */
export function transform({ scores, voted }: Votes, how: PostTransform): void {
  for (let i = 0; i < scores.length; i += 1) if (voted[i] === 0) scores[i] = 0;
  if (how === 'LOGISTIC') {
    for (let i = 0; i < scores.length; i += 1) scores[i] = logistic(scores[i]);
  } else if (how !== 'NONE') softmax(scores, how === 'SOFTMAX_ZERO');
}

function softmax(scores: Float32Array, keepZero: boolean): void {
  let max = -Infinity;
  for (const score of scores) if (score > max) max = score;
  let sum = 0;
  for (let i = 0; i < scores.length; i += 1) {
    if (keepZero && Math.abs(scores[i]) <= ZERO_SCORE) {
      scores[i] *= Math.fround(Math.exp(-max));
    } else {
      scores[i] = Math.exp(scores[i] - max);
      sum = Math.fround(sum + scores[i]);
    }
  }
  for (let i = 0; i < scores.length; i += 1) scores[i] /= sum;
}

function emit(scores: Float32Array, registers: Float64Array, to: number): void {
  for (let i = 0; i < scores.length; i += 1) registers[to + i] = scores[i];
}

/** A regressor's outputs. With one target ONNX Runtime applies no LOGISTIC and no SOFTMAX. */
export function finishRegressor(base: Float32Array, how: PostTransform, to: number): Finish {
  return (votes, registers) => {
    const { scores } = votes;
    for (let i = 0; i < base.length; i += 1) scores[i] += base[i];
    if (scores.length > 1) transform(votes, how);
    emit(scores, registers, to);
  };
}

/** Where a classifier's outputs go: `to` its scores, `label` the place of the class among its labels. */
export interface ClassifierSlots {
  readonly to: number;
  readonly label: number;
}

/** Three classes and more: the label is the first class with the highest score. */
export function finishClasses(
  base: Float32Array,
  how: PostTransform,
  { to, label }: ClassifierSlots,
): Finish {
  return (votes, registers) => {
    const { scores, voted } = votes;
    for (let i = 0; i < base.length; i += 1) {
      scores[i] += base[i];
      voted[i] = 1;
    }
    let best = -1;
    for (let i = 0; i < scores.length; i += 1) {
      if (voted[i] === 1 && (best === -1 || scores[i] > scores[best])) best = i;
    }
    registers[label] = best;
    transform(votes, how);
    emit(scores, registers, to);
  };
}

export interface BinaryRules {
  readonly base: Float32Array;
  readonly how: PostTransform;
  /** All weights are for one class: its score alone decides. */
  readonly single: boolean;
  /** No weight is below zero: scores are probabilities, so the border is 0.5 and the other class is 1 - p. */
  readonly positive: boolean;
}

/** Two classes: ONNX Runtime's rules for which score decides and how the second one is made. */
export function finishBinary(rules: BinaryRules, { to, label }: ClassifierSlots): Finish {
  const { base, how, single, positive } = rules;
  const border = single && positive ? 0.5 : 0;
  return (votes, registers) => {
    const { scores, voted } = votes;
    if (base.length === 2) {
      if (voted[1] === 1) {
        scores[1] = base[1] + scores[0];
        scores[0] = -scores[1];
      } else {
        scores[1] += base[1];
        scores[0] += base[0];
      }
    } else if (base.length === 1) scores[0] += base[0];
    const deciding = voted[1] === 1 ? scores[1] : scores[0];
    registers[label] = deciding > border ? 1 : 0;
    if (voted[1] === 1 || base.length === 2) transform(votes, how);
    else {
      const score = scores[0];
      scores[1] = how === 'LOGISTIC' ? logistic(score) : score;
      if (how === 'LOGISTIC') scores[0] = logistic(-score);
      else scores[0] = single && positive ? 1 - score : -score;
    }
    emit(scores, registers, to);
  };
}
