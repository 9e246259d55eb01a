import { describe, expect, test } from 'vitest';
import { type NpyArray, parseNpy } from '../../../agent/describe/npy.ts';
import { tensorBaseline } from '../../../agent/describe/tensor-baseline.ts';
import type { ManifestDraft } from '../../../protocol/manifest.ts';
import { compareTensor } from '../../../protocol/statistics/tensor-drift.ts';
import { counted, images, profileOf, SIDE } from '../../support/image-baseline.ts';
import { seeded } from '../../support/random-models.ts';

/** What numpy 2 wrote: `numpy.save` of float32 [3, 2], uint8 [1, 2, 2], int64 [3], and what is refused. */
const SAVED = (descr: string, shape: string, elements: string, fortran = 'False') =>
  Buffer.concat([
    Buffer.from('k05VTVBZAQB2AA==', 'base64'),
    Buffer.from(
      `{'descr': '${descr}', 'fortran_order': ${fortran}, 'shape': ${shape}, }`.padEnd(117),
    ),
    Buffer.from('\n'),
    Buffer.from(elements, 'base64'),
  ]);
const FLOATS = SAVED('<f4', '(3, 2)', 'AAAAAAAAgD8AAABAAABAQAAAgEAAAKBA');

describe('a .npy file', () => {
  test('is read as numpy wrote it, wherever its bytes lie', () => {
    const whole = Buffer.from(
      'k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDMsIDIpLCB9ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPwAAAEAAAEBAAACAQAAAoEA=',
      'base64',
    );
    expect(FLOATS.equals(whole)).toBe(true);
    const wanted = { datatype: 'FP32', shape: [3, 2], data: Float32Array.of(0, 1, 2, 3, 4, 5) };
    expect(parseNpy(whole, 'x')).toEqual(wanted);
    const shifted = Buffer.concat([Buffer.alloc(3), whole]).subarray(3);
    expect(parseNpy(shifted, 'x')).toEqual(wanted);
    expect(parseNpy(SAVED('|u1', '(1, 2, 2)', 'AAECAw=='), 'x')).toEqual({
      ...{ datatype: 'UINT8', shape: [1, 2, 2] },
      data: Uint8Array.of(0, 1, 2, 3),
    });
    expect(parseNpy(SAVED('<i8', '(1,)', '/////////38='), 'x').data[0]).toBe(2n ** 63n - 1n);
  });

  test.each([
    ['half floats', SAVED('<f2', '(2,)', 'AAAAAA=='), "elements are '<f2'"],
    ['the other end first', SAVED('>f4', '(1,)', 'AAAAAA=='), "elements are '>f4'"],
    ['columns first', SAVED('<f4', '(1, 1)', 'AAAAAA==', 'True'), 'ascontiguousarray'],
    ['fewer bytes than it says', SAVED('<f4', '(2,)', 'AAAAAA=='), 'holds 4 bytes of elements'],
    ['objects', SAVED('|O', '(1,)', 'AAAAAA=='), 'a plain array is needed'],
    ['no array at all', Buffer.from('PK, or anything else'), 'not a .npy file'],
  ])('is refused with %s', (_, bytes, words) => {
    expect(() => parseNpy(bytes, 'x.npy')).toThrow(words);
  });
});

const random = seeded(4);

describe('a baseline of images', () => {
  test.each([false, true])(
    'says whether later ones are like them; channels last: %s',
    async (last) => {
      const { profile, warnings } = await profileOf(images(600, { last }));
      expect(warnings).toContainEqual(expect.stringContaining('watched as images'));
      const [watched] = profile.tensors ?? [];
      expect(watched.layout).toMatchObject({
        ...{ kind: 'image', side: SIDE },
        order: last ? 'channels-last' : 'channels-first',
      });
      const effectOf = (later: NpyArray) =>
        compareTensor(profile.reference.tensors[0], counted(watched, later), watched).effect;
      expect(effectOf(images(300, { last }))).toBeLessThan(0.1);
      expect(effectOf(images(300, { last, dim: 0.6 }))).toBeGreaterThan(0.5);
      expect(effectOf(images(300, { last, fog: 0.5 }))).toBeGreaterThan(0.5);
    },
  );

  test('is not asked for columns, and has none for a label', async () => {
    const array = images(120);
    const watch: ManifestDraft = { prediction: { tensor: 'x_out', index: 0, kind: 'value' } };
    const { profile } = await profileOf(array, watch);
    expect(profile.rows).toBe(120);
    await expect(profileOf(array, { ...watch, label: { column: 'truth' } })).rejects.toThrow(
      'no column "truth" for the label; it has none',
    );
  });

  test('may be rows of numbers: then they are an embedding', async () => {
    const data = Float32Array.from({ length: 400 * 8 }, () => random());
    const { profile } = await profileOf({ datatype: 'FP32', shape: [400, 8], data });
    expect(profile.tensors?.[0]).toMatchObject({ kind: 'embedding', width: 8 });
  });

  test.each([
    ['fewer than a hundred', images(99), undefined, 'at least 100'],
    ['two channels', { ...images(150), shape: [225, 2, 16, 16] }, undefined, 'of 1, 3, 4 channels'],
    ['another size than the model takes', images(120), [3, 8, 8], 'has the shape [120,3,16,16]'],
    ['no rows', { ...images(0), shape: [0, 3, 16, 16] }, undefined, 'has no rows'],
  ])('is refused with %s', async (_, array, shape, words) => {
    await expect(profileOf(array, {}, shape)).rejects.toThrow(words);
  });

  test('is refused where the model takes another datatype or several inputs', () => {
    const array = images(1);
    const input = (name: string, datatype: 'FP32' | 'UINT8') => ({
      ...{ name, datatype, shape: [-1, 3, 16, 16] },
    });
    expect(() => tensorBaseline(array, [input('x', 'UINT8')], 'x.npy')).toThrow(
      'x.npy holds FP32; input "x" takes UINT8',
    );
    expect(() => tensorBaseline(array, [input('x', 'FP32'), input('y', 'FP32')], 'x.npy')).toThrow(
      'the model takes 2',
    );
  });
});
