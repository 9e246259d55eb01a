import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Assembly, type FoundRow } from '../../../../agent/engine/features/assemble.ts';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import { askedInputs } from '../../../../protocol/feature-fit.ts';
import { featureLookupSchema } from '../../../../protocol/feature-lookup.ts';
import type { TensorSpec } from '../../../../protocol/tensor.ts';

const DATATYPES = ['FP32', 'FP64', 'INT64', 'INT32', 'BOOL', 'BYTES'] as const;
type Known = (typeof DATATYPES)[number];

const VALUE = {
  FP32: fc.float({ noNaN: true, noDefaultInfinity: true }),
  FP64: fc.double({ noNaN: true, noDefaultInfinity: true }),
  INT64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  INT32: fc.integer(),
  BOOL: fc.boolean(),
  BYTES: fc.stringMatching(/^[a-zäöü]{0,8}$/),
} as const;
/** As a lookup states it, and as it stands in a tensor. */
const DEFAULT = {
  FP32: { given: -1, put: -1 },
  FP64: { given: 'NaN', put: Number.NaN },
  INT64: { given: -1, put: -1n },
  INT32: { given: -1, put: -1 },
  BOOL: { given: 0, put: 0 },
  BYTES: { given: '?', put: '?' },
} as const;
const ARRAY = {
  FP32: Float32Array,
  FP64: Float64Array,
  INT64: BigInt64Array,
  INT32: Int32Array,
  BOOL: Uint8Array,
} as const;

/** Some tensors, of each some columns looked up, and rows in which some values are missing. */
const cases = fc
  .record({
    tensors: fc.array(
      fc.record({ datatype: fc.constantFrom(...DATATYPES), width: fc.integer({ min: 1, max: 4 }) }),
      {
        minLength: 1,
        maxLength: 3,
      },
    ),
    rows: fc.integer({ min: 0, max: 5 }),
  })
  .chain(({ tensors, rows }) => {
    const places = tensors.flatMap(({ datatype, width }, t) =>
      Array.from({ length: width }, (_, index) => ({ datatype, tensor: `t${t}`, index })),
    );
    return fc.record({
      tensors: fc.constant(tensors),
      rows: fc.constant(rows),
      looked: fc.subarray(places, { minLength: 1 }),
      own: fc.tuple(...places.map(({ datatype }) => column(datatype, rows, false))),
      found: fc.tuple(...places.map(({ datatype }) => column(datatype, rows, true))),
      places: fc.constant(places),
    });
  });

function column(datatype: Known, rows: number, gaps: boolean) {
  const value: fc.Arbitrary<unknown> = VALUE[datatype];
  const each = gaps ? fc.option(value, { nil: null, freq: 4 }) : value;
  return fc.array(each, { minLength: rows, maxLength: rows });
}

function tensor(datatype: Known, shape: number[], values: unknown[]): Tensor {
  const data =
    datatype === 'BYTES'
      ? (values as string[])
      : (ARRAY[datatype] as { from(values: unknown): Float32Array }).from(values);
  return { datatype, shape, data };
}

it('puts every value where its column says, and leaves everything else as the request gave it', () => {
  fc.assert(
    fc.property(cases, ({ tensors, rows, looked, own, found, places }) => {
      const inputs: TensorSpec[] = tensors.map(({ datatype, width }, t) => ({
        name: `t${t}`,
        datatype,
        shape: [-1, width],
      }));
      const at = (name: string, index: number) =>
        places.findIndex((place) => place.tensor === name && place.index === index);
      const lookup = featureLookupSchema.parse({
        server: 's',
        entities: [{ name: 'key', datatype: 'INT64' }],
        columns: looked.map(({ tensor: name, index, datatype }) => ({
          feature: `v:f${at(name, index)}`,
          tensor: name,
          index,
          default: DEFAULT[datatype].given,
        })),
        onMissing: 'default',
      });
      const asked = askedInputs(inputs, lookup).map(({ name }) => name);
      const features = looked.map(({ tensor: name, index }) => `v:f${at(name, index)}`);
      const given = new Map<string, Tensor>();
      const expected = new Map<string, unknown[]>();
      let missing = 0;
      for (const { name, datatype, shape } of inputs) {
        const width = shape[1];
        const [mine, wanted]: unknown[][] = [[], []];
        for (let row = 0; row < rows; row += 1) {
          for (let index = 0; index < width; index += 1) {
            const place = at(name, index);
            const fetched = looked.some((each) => each.tensor === name && each.index === index);
            const value = fetched ? found[place][row] : own[place][row];
            if (value === null) missing += 1;
            mine.push(own[place][row]);
            wanted.push(value ?? DEFAULT[datatype as Known].put);
          }
        }
        if (asked.includes(name)) given.set(name, tensor(datatype as Known, [rows, width], mine));
        expected.set(
          name,
          Array.from(tensor(datatype as Known, [rows, width], wanted).data as unknown[]),
        );
      }
      const keys = Array.from({ length: rows }, (_, row) => ({
        text: `${row}`,
        literals: [`${row}`],
      }));
      const table = keys.map((_, row) =>
        looked.map(({ tensor: name, index }) => found[at(name, index)][row]),
      ) as FoundRow[];
      const assembled = new Assembly(inputs, lookup, features).assemble(given, keys, table);
      const actual = new Map(
        [...assembled.inputs].map(([name, { data }]) => [name, Array.from(data as unknown[])]),
      );
      expect(actual).toEqual(expected);
      expect(assembled.defaulted).toBe(missing);
      const gaps = [...(assembled.gaps?.values() ?? [])].reduce((sum, set) => sum + set.size, 0);
      expect(gaps).toBe(missing);
      for (const [name, { shape }] of assembled.inputs) {
        expect(shape).toEqual([rows, inputs.find((spec) => spec.name === name)?.shape[1]]);
      }
    }),
    { numRuns: 300 },
  );
});
