import { SketchError } from '../sketch/error.ts';
import { chiSquareLogSurvival } from './chi-square.ts';

/**
 * z with P(Z <= z) = p of the standard normal distribution: a start that is good to 4.5e-4 (Abramowitz and Stegun 1964,
 * 26.2.23), then Newton's method on the logarithm of the tail, which converges from the far end of any tail.
 *
 * @throws SketchError `value` unless 0 < p < 1
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) {
    throw new SketchError('value', `probability ${p}: must be above 0 and below 1`);
  }
  if (p > 0.5) return -lowerQuantile(1 - p);
  return lowerQuantile(p);
}

/** ln P(Z >= z), finite for any finite z. */
export function normalLogSurvival(z: number): number {
  if (z === 0) return -Math.LN2;
  const logTail = chiSquareLogSurvival(z * z, 1) - Math.LN2;
  return z > 0 ? logTail : Math.log1p(-Math.exp(logTail));
}

const NEWTON_STEPS = 4;

/** For 0 < p <= ½. */
function lowerQuantile(p: number): number {
  if (p === 0.5) return 0;
  const logP = Math.log(p);
  const t = Math.sqrt(-2 * logP);
  const above = 2.515517 + t * (0.802853 + t * 0.010328);
  const below = 1 + t * (1.432788 + t * (0.189269 + t * 0.001308));
  let z = Math.max(0, t - above / below);
  for (let step = 0; step < NEWTON_STEPS; step += 1) {
    const logTail = normalLogSurvival(z);
    // d/dz ln Q(z) = −φ(z) / Q(z).
    const slope = -Math.exp(-(z * z) / 2 - LOG_ROOT_2_PI - logTail);
    z -= (logTail - logP) / slope;
  }
  return -z;
}

const LOG_ROOT_2_PI = Math.log(2 * Math.PI) / 2;
