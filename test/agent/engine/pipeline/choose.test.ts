import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { chooseByParameter, chooseByTensor } from '../../../../agent/engine/pipeline/choose.ts';
import type { SwitchNode } from '../../../../protocol/pipeline/document.ts';

const node = (cases: readonly object[], otherwise?: string) =>
  ({
    kind: 'switch',
    on: { tensor: 't', index: 0 },
    cases: cases.map((each, at) => ({ ...each, node: `n${at}` })),
    ...(otherwise === undefined ? {} : { default: otherwise }),
  }) as SwitchNode;
const ways = (tensor: Tensor, cases: readonly object[], otherwise?: string) =>
  chooseByTensor(node(cases, otherwise), { tensor: 't', index: 0 }, { tensor, byRow: true }).map(
    ({ node: name, rows }) => [name, rows],
  );
const column = (datatype: Tensor['datatype'], data: Tensor['data']): Tensor => ({
  datatype,
  shape: [data.length, 1],
  data,
});

describe('a switch', () => {
  it.each<[string, Tensor, readonly object[], unknown]>([
    [
      'compares FP32 as FP32',
      column('FP32', Float32Array.of(0.1, 0.2)),
      [{ op: '==', value: 0.1 }],
      [
        ['n0', [0]],
        ['other', [1]],
      ],
    ],
    [
      'takes the first case that holds',
      column('FP64', Float64Array.of(3, 1, 2)),
      [
        { op: '>=', value: 2 },
        { op: '>', value: 2 },
      ],
      [
        ['n0', [0, 2]],
        ['other', [1]],
      ],
    ],
    [
      'compares 64-bit integers exactly',
      column('INT64', BigInt64Array.of(2n ** 53n, 2n ** 53n + 1n)),
      [
        { op: '==', value: 2 ** 53 },
        { op: '>', value: 2 ** 53 },
      ],
      [
        ['n0', [0]],
        ['n1', [1]],
      ],
    ],
    [
      'finds nothing equal to NaN',
      column('FP64', Float64Array.of(Number.NaN, 1)),
      [
        { op: 'in', values: [1] },
        { op: '<=', value: 9 },
      ],
      [
        ['n0', [1]],
        ['other', [0]],
      ],
    ],
    [
      'finds NaN different from everything',
      column('FP64', Float64Array.of(Number.NaN, 1)),
      [{ op: '!=', value: 1 }],
      [
        ['n0', [0]],
        ['other', [1]],
      ],
    ],
    [
      'reads BOOL',
      column('BOOL', Uint8Array.of(1, 0)),
      [{ op: '==', value: false }],
      [
        ['n0', [1]],
        ['other', [0]],
      ],
    ],
    [
      'reads text',
      column('BYTES', ['a', 'b', 'c']),
      [{ op: 'in', values: ['c', 'a'] }],
      [
        ['n0', [0, 2]],
        ['other', [1]],
      ],
    ],
    [
      'leaves one way whole',
      column('FP32', Float32Array.of(1, 1)),
      [{ op: '==', value: 1 }],
      [['n0', null]],
    ],
    [
      'sends no rows to the default',
      column('FP32', Float32Array.of()),
      [{ op: '==', value: 1 }],
      [['other', null]],
    ],
  ])('PIPELINE-9: %s', (_, tensor, cases, expected) => {
    expect(ways(tensor, cases, 'other')).toEqual(expected);
  });

  it('PIPELINE-9: names the row and the value without a case', () => {
    const tensor = column('INT32', Int32Array.of(1, 7));
    expect(() => ways(tensor, [{ op: '==', value: 1 }])).toThrow(/"t"\[1, 0\] is 7/);
    expect(() => ways(column('FP16', Uint16Array.of(1)), [{ op: '==', value: 1 }])).toThrow(
      /it is FP16/,
    );
  });

  it('PIPELINE-9: reads parameters of either transport', () => {
    const by = node([{ op: 'in', values: [1, 2] }], 'other');
    const way = (parameters: object | null) => chooseByParameter(by, 'p', parameters).node;
    expect([
      way({ p: 2 }),
      way(new Map([['p', 2n]])),
      way({ p: 3 }),
      way(null),
      way({ q: 1 }),
    ]).toEqual(['n0', 'n0', 'other', 'other', 'other']);
    expect(() => way({ p: [1] })).toThrow(/parameter "p" is an array; .* a number/);
    expect(() => chooseByParameter(node([{ op: '==', value: 'a' }]), 'constructor', {})).toThrow(
      /needs the parameter "constructor"/,
    );
  });
});
