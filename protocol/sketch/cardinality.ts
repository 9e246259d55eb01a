/**
 * How many different hashes there were: HyperLogLog (Flajolet et al. 2007) with 1,024 registers, estimated as Ertl
 * does ("New cardinality estimation algorithms for HyperLogLog sketches", 2017, algorithm 6), without bias at any size.
 * Standard error 1.04 / √1024 = 3.3 %. Registers merge by their maximum: exactly, in any order, and the same row twice
 * changes nothing. Hashes of 32 bits collide: at 10 million different values 0.1 % too few are seen.
 */
export const REGISTERS = 1024;

/** Bits of a hash behind those that choose the register. */
const RANK_BITS = 22;

/** Largest value of a register: all 22 bits are 0. */
export const MAX_RANK = RANK_BITS + 1;

/** lim m → ∞ of α_m: 1 / (2 ln 2). */
const ALPHA = 1 / (2 * Math.LN2);

/** Does not allocate. */
export function addDistinct(registers: Uint8Array, hash: number): void {
  const register = hash >>> RANK_BITS;
  // The lowest bit set below bounds the count of leading zeros.
  const rank = Math.clz32((hash << (32 - RANK_BITS)) | (1 << (31 - RANK_BITS))) + 1;
  if (rank > registers[register]) registers[register] = rank;
}

export function mergeDistinct(into: Uint8Array, from: Uint8Array): void {
  for (let k = 0; k < into.length; k += 1) if (from[k] > into[k]) into[k] = from[k];
}

/** 0 for empty registers. */
export function distinct(registers: Uint8Array): number {
  const of = new Float64Array(MAX_RANK + 1);
  for (const rank of registers) of[rank] += 1;
  if (of[0] === REGISTERS) return 0;
  let z = REGISTERS * tau(1 - of[MAX_RANK] / REGISTERS);
  for (let rank = RANK_BITS; rank >= 1; rank -= 1) z = 0.5 * (z + of[rank]);
  z += REGISTERS * sigma(of[0] / REGISTERS);
  return (ALPHA * REGISTERS * REGISTERS) / z;
}

/** x + Σ x^(2^k) 2^(k−1), k from 1; for registers that are still 0. */
function sigma(x: number): number {
  let [power, weight, sum] = [x, 1, x];
  for (let before = Number.NaN; before !== sum; ) {
    before = sum;
    power *= power;
    sum += power * weight;
    weight += weight;
  }
  return sum;
}

/** (1 − x − Σ (1 − x^(2^−k))² 2^−k) / 3, k from 1; for registers that are full. */
function tau(x: number): number {
  if (x === 0 || x === 1) return 0;
  let [power, weight, sum] = [x, 1, 1 - x];
  for (let before = Number.NaN; before !== sum; ) {
    before = sum;
    power = Math.sqrt(power);
    weight *= 0.5;
    sum -= (1 - power) ** 2 * weight;
  }
  return sum / 3;
}
