/** Lanczos coefficients for g = 7, n = 9 (Godfrey 2001): relative error about 1e-15. */
const LANCZOS_G = 7;
const LANCZOS = [
  0.99999999999980993, 676.5203681218851, -1259.1392167224028, 771.32342877765313,
  -176.61502916214059, 12.507343278686905, -0.13857109526572012, 9.9843695780195716e-6,
  1.5056327351493116e-7,
];

/** Both expansions below need about √a terms; a is half a number of cells, at most a few 100. */
const MAX_TERMS = 10_000;

/** ln Γ(x) for x >= ½. */
export function logGamma(x: number): number {
  const shifted = x - 1;
  const base = shifted + LANCZOS_G + 0.5;
  let series = LANCZOS[0];
  for (let k = 1; k < LANCZOS.length; k += 1) series += LANCZOS[k] / (shifted + k);
  return 0.5 * Math.log(2 * Math.PI) + (shifted + 0.5) * Math.log(base) - base + Math.log(series);
}

/**
 * ln Q(a, x), the logarithm of the regularised upper incomplete gamma function, for a >= ½ and
 * x >= 0. In logarithms, because the evidence of a large window is far below 1e-308.
 *
 * Series for P below x = a + 1, continued fraction for Q above it (Numerical Recipes 3rd ed.,
 * 6.2; modified Lentz). In the first region Q is never small, so 1 − P loses nothing.
 */
export function logUpperGamma(a: number, x: number): number {
  if (x === 0) return 0;
  const logFront = a * Math.log(x) - x - logGamma(a);
  if (x < a + 1) return Math.log1p(-Math.min(1, Math.exp(logFront) * lowerSeries(a, x)));
  return Math.min(0, logFront + Math.log(upperFraction(a, x)));
}

/** Σ x^k / (a (a + 1) … (a + k)). */
function lowerSeries(a: number, x: number): number {
  let term = 1 / a;
  let sum = term;
  for (let k = 1; k < MAX_TERMS; k += 1) {
    term *= x / (a + k);
    sum += term;
    if (term < sum * Number.EPSILON) break;
  }
  return sum;
}

/** 1 / (x + 1 − a − 1(1 − a) / (x + 3 − a − 2(2 − a) / (x + 5 − a − …))). */
function upperFraction(a: number, x: number): number {
  let b = x + 1 - a;
  let c = 1 / Number.MIN_VALUE ** 0.5;
  let d = 1 / b;
  let fraction = d;
  for (let k = 1; k < MAX_TERMS; k += 1) {
    const numerator = -k * (k - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    const factor = c * d;
    fraction *= factor;
    if (Math.abs(factor - 1) < Number.EPSILON) break;
  }
  return fraction;
}
