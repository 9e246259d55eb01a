import { describe, expect, it } from 'vitest';
import { tableBaseline } from '../../../agent/describe/baseline.ts';
import { parseCsv } from '../../../agent/describe/csv.ts';
import { inferManifest } from '../../../agent/describe/infer-manifest.ts';
import { buildProfile } from '../../../agent/describe/profile-builder.ts';
import { createNodeRuntime } from '../../../agent/engine/model/runtime-node.ts';
import type { Manifest, ManifestDraft } from '../../../protocol/manifest.ts';
import {
  checkProfileAgainstManifest,
  encodeProfile,
  parseProfile,
} from '../../../protocol/profile.ts';
import { buildModel, identityModel } from '../../support/onnx-builder.ts';

/** The profile of a model that gives its one input back, for a baseline of these lines. */
async function profileOf(
  draft: ManifestDraft,
  csv: readonly string[],
  {
    datatype = 'FP32',
    shape = [-1, 1],
  }: { datatype?: 'FP32' | 'INT64' | 'BYTES'; shape?: number[] } = {},
) {
  const spec = identityModel([{ name: 'x', datatype, shape }]);
  const session = await (await createNodeRuntime()).open(buildModel(spec));
  const table = parseCsv(csv.join('\n'), 'baseline.csv');
  const { described } = inferManifest(spec, draft, table);
  const manifest: Manifest = {
    ...{ schema: 1, model: 'm', files: [], ...described },
    ...{ inputs: [...spec.inputs], outputs: [...spec.outputs] },
  };
  try {
    const baseline = tableBaseline(table, manifest.features, manifest.inputs);
    const profile = parseProfile(encodeProfile(await buildProfile(session, manifest, baseline)));
    checkProfileAgainstManifest(profile, manifest);
    return profile;
  } finally {
    await session.release();
  }
}

const place = { tensor: 'x_out', index: 0 };
const x = [{ name: 'x', tensor: 'x', index: 0, kind: 'numeric' as const }];
const score: ManifestDraft = {
  features: x,
  prediction: { ...place, kind: 'score', positive: 'deny' },
  label: { column: 'truth', classes: ['approve', 'deny'] },
  groups: [{ attribute: 'sex', from: 'parameter' }],
};

describe('what a baseline says of outcomes', () => {
  it('is counted by group, with labels by the names that the manifest gives them; an empty one is none', async () => {
    const rows = ['0.9,f,deny', '0.8,f,approve', '0.1,m,deny', '0.2,m,0', '0.7,,1', '0.6,f,'];
    const profile = await profileOf(score, ['x,sex,truth', ...rows]);
    expect(profile.outcome?.axes).toEqual([
      { attribute: 'sex', kind: 'values', values: ['f', 'm'] },
    ]);
    const groups = [...(profile.reference.outcome?.groups ?? [])];
    const cell = (at: number) => groups.slice(at * 9, at * 9 + 8);
    const [rowsAt, positivesAt] = [0, 1];
    // tp fp fn tn, by hand: everyone, f, m, other, missing.
    expect([0, 1, 2, 3, 4].map((at) => cell(at).slice(4))).toEqual([
      ...[
        [2, 1, 1, 1],
        [1, 1, 0, 0],
        [0, 0, 1, 1],
      ],
      ...[
        [0, 0, 0, 0],
        [1, 0, 0, 0],
      ],
    ]);
    expect([cell(0)[rowsAt], cell(0)[positivesAt]]).toEqual([6, 4]);
  });

  it('of a multiclass model has the classes of answers and labels', async () => {
    const draft: ManifestDraft = {
      features: [{ ...x[0], kind: 'categorical' }],
      prediction: { ...place, kind: 'label' },
      label: { column: 'truth' },
    };
    const csv = ['x,truth', '1,1', '2,2', '2,1', '1,3'];
    const { outcome, reference } = await profileOf(draft, csv, { datatype: 'INT64', shape: [-1] });
    expect([...(outcome?.classes ?? [])].sort()).toEqual([1, 2, 3]);
    expect([...(reference.outcome?.groups ?? [])]).toEqual([4, 4, 2]);
  });

  it('of a regression has its errors: 1, 0 and -2', async () => {
    const draft: ManifestDraft = {
      ...{ features: x, prediction: { ...place, kind: 'value' }, label: { column: 'truth' } },
    };
    const { reference } = await profileOf(draft, ['x,truth', '3,2', '5,5', '1,3']);
    const [, , , labelled, , errorAbs, errorSquares] = reference.outcome?.groups ?? [];
    expect([labelled, errorAbs, errorSquares]).toEqual([3, 3, 5]);
  });

  it.each([
    ['a label that is none', ['x,sex,truth', '0.5,f,perhaps'], 'row 1: label "perhaps"'],
    ['no column for the label', ['x,sex', '0.5,f'], 'no column "truth" for the label'],
    ['no column for a group', ['x,truth', '0.5,1'], 'no column "sex" for group "sex"'],
    [
      'a group of more values than are told apart',
      ['x,sex,truth', ...Array.from({ length: 17 }, (_, at) => `0.5,${at},1`)],
      '17 values in the baseline, at most 16',
    ],
  ])('is refused with %s', async (_, csv, words) => {
    await expect(profileOf(score, csv)).rejects.toThrow(words);
  });
});

describe('what a baseline says of texts and whole tensors', () => {
  it('is the length of a text, and no dictionary of a column with too many values', async () => {
    const csv = ['x', 'a', 'four', 'seven77'];
    const text = (kind: 'text' | 'hashed') =>
      profileOf({ features: [{ ...x[0], kind }], prediction: null }, csv, { datatype: 'BYTES' });
    const { reference } = await text('text');
    const [lengths] = reference.features;
    expect(lengths.kind === 'numeric' && lengths.moments).toMatchObject({
      mean: 4,
      min: 1,
      max: 7,
    });
    expect((await text('hashed')).features[0].grid).toEqual({ kind: 'hashed' });
  });

  it('is the axes of an embedding, from a hundred rows on; rows of four numbers are no image', async () => {
    const row = (at: number) =>
      [Math.sin(at), Math.cos(3 * at), Math.sin(at * at), at / 200].join();
    const rows = Array.from({ length: 200 }, (_, at) => row(at));
    const features = ['a', 'b', 'c', 'd'].map((name, index) => ({ ...x[0], name, index }));
    const watch = (kind: 'embedding' | 'image', count = 200) =>
      profileOf(
        { features, prediction: null, tensors: [{ name: 'x', side: 'input', kind }] },
        ['a,b,c,d', ...rows.slice(0, count)],
        { shape: [-1, 4] },
      );
    const { tensors, reference } = await watch('embedding');
    expect(tensors?.map(({ name, width }) => [name, width])).toEqual([['x', 4]]);
    expect(reference.tensors[0].rows).toBeGreaterThan(50);
    await expect(watch('embedding', 99)).rejects.toThrow('at least 100');
    await expect(watch('image')).rejects.toThrow('has the shape [200,4]: images are');
  });
});
