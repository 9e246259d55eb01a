import { describe, expect, it } from 'vitest';
import { askedInputs } from '../../protocol/feature-fit.ts';
import { featureLookupSchema } from '../../protocol/feature-lookup.ts';
import { elementOf } from '../../protocol/feature-value.ts';
import { MAX_LOOKUP_COLUMNS, MAX_LOOKUP_ENTITIES } from '../../protocol/limits.ts';
import { servingSchema } from '../../protocol/serving.ts';
import type { TensorSpec } from '../../protocol/tensor.ts';

const LOOKUP = {
  server: 'shop',
  entities: [{ name: 'driver_id', datatype: 'INT64' }],
  columns: [{ feature: 'stats:trips', tensor: 'x' }],
};
const told = (more: object) =>
  featureLookupSchema.safeParse({ ...LOOKUP, ...more }).error?.issues.map(({ message }) => message);

describe('a feature lookup', () => {
  it('is part of how a deployment is served, and states its defaults', () => {
    expect(servingSchema.parse({ features: LOOKUP }).features).toEqual({
      ...LOOKUP,
      columns: [{ feature: 'stats:trips', tensor: 'x', index: 0 }],
      timeoutMs: 50,
      cacheMs: 0,
      cacheEntries: 10_000,
      onMissing: 'refuse',
    });
  });

  it.each<[object, RegExp]>([
    [{ url: 'http://169.254.169.254/' }, /url/],
    [{ server: 'http://x' }, /name/],
    [{ features: ['stats:trips'], featureService: 's' }, /not both/],
    [{ features: ['stats:other'] }, /not among the features/],
    [{ onMissing: 'default' }, /has no default/],
    [{ columns: [LOOKUP.columns[0], LOOKUP.columns[0]] }, /two columns are put into "x"\[0\]/],
    [{ entities: [LOOKUP.entities[0], LOOKUP.entities[0]] }, /"driver_id" is named twice/],
    [{ columns: [{ feature: 'trips', tensor: 'x' }] }, /view:feature/],
    [{ columns: [{ feature: 'a:b:c', tensor: 'x' }] }, /view:feature/],
    [{ entities: [{ name: 'driver"id', datatype: 'INT64' }] }, /join key/],
    [{ entities: [{ name: 'driver_id', datatype: 'FP32' }] }, /INT64/],
    [{ timeoutMs: 0 }, />=1|at least 1/],
  ])('is refused with %j', (more, message) => {
    expect(told(more)?.join()).toMatch(message);
  });

  it('has bounded keys and columns', () => {
    const entities = (count: number) =>
      Array.from({ length: count }, (_, at) => ({ name: `e${at}`, datatype: 'INT64' }));
    const columns = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ feature: 'a:b', tensor: 'x', index }));
    expect(told({ entities: entities(MAX_LOOKUP_ENTITIES) })).toBeUndefined();
    expect(told({ entities: entities(MAX_LOOKUP_ENTITIES + 1) })).toHaveLength(1);
    expect(told({ columns: columns(MAX_LOOKUP_COLUMNS) })).toBeUndefined();
    expect(told({ columns: columns(MAX_LOOKUP_COLUMNS + 1) })).toHaveLength(1);
  });
});

describe('a feature lookup and a model', () => {
  const inputs: TensorSpec[] = [
    { name: 'x', datatype: 'FP32', shape: [-1, 2] },
    { name: 'y', datatype: 'INT32', shape: [-1] },
    { name: 'free', datatype: 'FP32', shape: [-1, -1] },
    { name: 'half', datatype: 'FP16', shape: [-1] },
  ];
  const asked = (columns: object[], more: object = {}) =>
    askedInputs(inputs, featureLookupSchema.parse({ ...LOOKUP, columns, ...more })).map(
      ({ name }) => name,
    );

  it('ask for the keys, and for what is not wholly looked up', () => {
    const [first, second] = [0, 1].map((index) => ({ feature: `s:f${index}`, tensor: 'x', index }));
    expect(asked([first])).toEqual(['driver_id', 'x', 'y', 'free', 'half']);
    expect(asked([first, second])).toEqual(['driver_id', 'y', 'free', 'half']);
    expect(asked([{ feature: 's:f', tensor: 'y' }])).toEqual(['driver_id', 'x', 'free', 'half']);
  });

  it.each<[object, RegExp]>([
    [{ feature: 's:f', tensor: 'z' }, /goes into "z", but the model's inputs are "x", "y"/],
    [{ feature: 's:f', tensor: 'x', index: 2 }, /index 2 of "x" \[-1,2\], which has 2 values/],
    [{ feature: 's:f', tensor: 'free' }, /rows have no fixed length/],
    [{ feature: 's:f', tensor: 'half' }, /FP16: that is not fetched/],
    [{ feature: 's:f', tensor: 'y', default: 0.5 }, /the default 0.5 of "s:f" is no INT32/],
  ])('do not fit with %j', (column, message) => {
    expect(() => asked([column])).toThrow(message);
  });

  it('do not fit when a key has the name of an input', () => {
    const entities = [{ name: 'x', datatype: 'INT64' }];
    expect(() => asked([{ feature: 's:f', tensor: 'y' }], { entities })).toThrow(/entity "x"/);
  });
});

describe('a feature as an element of a tensor', () => {
  it.each([
    ['FP32', 0.10000000149011612, Math.fround(0.1)],
    ['FP32', 1e39, null],
    ['FP32', 'NaN', Number.NaN],
    ['FP64', '-Infinity', Number.NEGATIVE_INFINITY],
    ['FP64', 'x', null],
    ['FP64', true, 1],
    ['FP64', 2n ** 62n, 2 ** 62],
    ['INT64', 7, 7n],
    ['INT64', 9007199254740993n, 9007199254740993n],
    ['INT64', 2n ** 63n, null],
    ['INT64', 1.5, null],
    ['INT64', '7', null],
    ['UINT64', -1, null],
    ['INT32', 2 ** 31, null],
    ['UINT8', 255, 255],
    ['UINT8', 256, null],
    ['BOOL', false, 0],
    ['BOOL', 2, null],
    ['BYTES', 'Genève', 'Genève'],
    ['BYTES', 'a\0', null],
    ['BYTES', 7, null],
    ['FP16', 1, null],
  ] as const)('%s of %s is %s', (datatype, value, element) => {
    expect(elementOf(datatype, value)).toBe(element);
  });
});
