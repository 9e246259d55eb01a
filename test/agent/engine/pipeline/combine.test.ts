import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { combine } from '../../../../agent/engine/pipeline/combine.ts';
import type { Combine } from '../../../../protocol/pipeline/document.ts';

const of = (datatype: Tensor['datatype'], data: Tensor['data'], shape = [data.length]): Tensor => ({
  datatype,
  shape,
  data,
});
const among = (how: Combine, tensors: readonly Tensor[], weights: readonly number[] = []) =>
  combine(
    how,
    't',
    tensors.map((tensor, at) => ({ member: `m${at}`, weight: weights[at] ?? 1, tensor })),
  ).data;

describe('combining', () => {
  it('PIPELINE-6: sums in double precision, and keeps what is not finite', () => {
    // In FP32, 2^24 + 1 is 2^24: the mean of 2^24, 1 and 1 would be 2^24 / 3.
    const singles = [2 ** 24, 1, 1].map((x) => of('FP32', Float32Array.of(x)));
    expect(among('mean', singles)).toEqual(Float32Array.of((2 ** 24 + 2) / 3));
    const odd = [
      of('FP64', Float64Array.of(Number.NaN, 1)),
      of('FP64', Float64Array.of(0, Infinity)),
    ];
    expect(among('mean', odd)).toEqual(Float64Array.of(Number.NaN, Infinity));
    expect(among('weighted', singles, [1, 2, 2])).toEqual(Float32Array.of((2 ** 24 + 4) / 5));
  });

  it('PIPELINE-7: counts labels of any kind, and breaks ties by the first voter', () => {
    const words = [
      ['a', 'x'],
      ['b', 'y'],
      ['b', 'z'],
    ].map((data) => of('BYTES', data));
    expect(among('vote', words)).toEqual(['b', 'x']);
    const big = [2n ** 60n, 2n ** 60n + 1n, 2n ** 60n + 1n].map((x) =>
      of('INT64', BigInt64Array.of(x)),
    );
    expect(among('vote', big)).toEqual(BigInt64Array.of(2n ** 60n + 1n));
    const even = [1, 0, 0, 1].map((x) => of('BOOL', Uint8Array.of(x)));
    expect(among('vote', even)).toEqual(Uint8Array.of(1));
  });

  it.each<[Combine, Tensor, Tensor, RegExp]>([
    [
      'mean',
      of('INT64', BigInt64Array.of(1n)),
      of('INT64', BigInt64Array.of(1n)),
      /needs FP32 or FP64; "m0" gave INT64/,
    ],
    [
      'vote',
      of('FP32', Float32Array.of(1)),
      of('FP32', Float32Array.of(1)),
      /needs integers, BOOL or BYTES/,
    ],
    [
      'mean',
      of('FP32', Float32Array.of(1)),
      of('FP64', Float64Array.of(1)),
      /"m0" gave FP32\[1\], "m1" FP64\[1\]/,
    ],
    [
      'mean',
      of('FP32', Float32Array.of(1, 2)),
      of('FP32', Float32Array.of(1, 2), [2, 1]),
      /FP32\[2\], "m1" FP32\[2,1\]/,
    ],
  ])('PIPELINE-8: refuses a %s of what does not fit', (how, a, b, message) => {
    expect(() => among(how, [a, b])).toThrow(message);
  });
});
