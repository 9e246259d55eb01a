/** ln(e^a + e^b) without overflow; −Infinity stands for ln 0. */
export function logAddExp(a: number, b: number): number {
  const high = Math.max(a, b);
  // Two infinities of one sign would give NaN below.
  if (high === Infinity || high === -Infinity) return high;
  return high + Math.log1p(Math.exp(-Math.abs(a - b)));
}

/** ln of the mean of e^x over the values; −Infinity of none. A mean of e-values is one, however they depend. */
export function logMeanExp(values: ArrayLike<number>): number {
  let high = -Infinity;
  for (let k = 0; k < values.length; k += 1) high = Math.max(high, values[k]);
  if (high === Infinity || high === -Infinity) return high;
  let sum = 0;
  for (let k = 0; k < values.length; k += 1) sum += Math.exp(values[k] - high);
  return high + Math.log(sum / values.length);
}
