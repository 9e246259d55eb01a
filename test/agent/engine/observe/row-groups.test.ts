import { describe, expect, it } from 'vitest';
import type { Tensor } from '../../../../agent/engine/model/runtime.ts';
import type { Answered } from '../../../../agent/engine/observe/recorder.ts';
import { RowGroups } from '../../../../agent/engine/observe/row-groups.ts';
import type { GroupAxis } from '../../../../protocol/sketch/group.ts';
import { manifestOf } from '../../../protocol/documents.ts';

const SEX: GroupAxis = { attribute: 'sex', kind: 'values', values: ['f', 'm'] };
const AGE: GroupAxis = { attribute: 'age', kind: 'edges', edges: [25, 65] };
const SCORE: GroupAxis = { attribute: 'score_class', kind: 'values', values: [1, 2, 3] };
const manifest = manifestOf({
  groups: [
    { attribute: 'sex', from: 'parameter' },
    { attribute: 'age', from: 'parameter' },
    { attribute: 'score_class', from: 'feature' },
  ],
});
const [OTHER_SEX, NO_SEX] = [2, 3];
const [OTHER_AGE, NO_AGE] = [3, 4];

/** Levels of sex, age and score class, row by row. */
function levels(
  parameters: object | null,
  scores: readonly number[],
  gaps: Answered['gaps'] = null,
) {
  const rows = scores.length;
  const data = new Float32Array(rows * 10);
  for (const [row, score] of scores.entries()) data[row * 10 + 3] = score;
  const features: Tensor = { datatype: 'FP32', shape: [rows, 10], data };
  const inputs = new Map([['features', features]]);
  const groups = new RowGroups(manifest, [SEX, AGE, SCORE]);
  groups.begin({ inputs, outputs: new Map(), rows, latencyUs: 1, gaps, parameters });
  return scores.map((_, row) => {
    const into = new Uint8Array(3);
    groups.read(row, into);
    return [...into];
  });
}

describe('groups of rows', () => {
  it('are one for the request, or one for each row, as an object or by plain names', () => {
    const wanted = [[1, 1, 0]];
    expect(levels({ group: { sex: 'm', age: 30 } }, [1])).toEqual(wanted);
    expect(levels({ 'group.sex': 'm', 'group.age': '30' }, [1])).toEqual(wanted);
    const each = { group: { sex: ['f', 'm'], age: [24.9, 65] } };
    expect(levels(each, [2, 3])).toEqual([
      [0, 0, 1],
      [1, 2, 2],
    ]);
  });

  it('that the baseline never had are "other", and never a group that it had', () => {
    expect(levels({ group: { sex: 'x', age: 'old' } }, [9])).toEqual([[OTHER_SEX, OTHER_AGE, 3]]);
    for (const odd of [{ of: 1 }, true, 'F', ' f', '__proto__', 'constructor']) {
      expect(levels({ group: { sex: odd } }, [1])[0][0], String(odd)).toBe(OTHER_SEX);
    }
  });

  it('that are not given are "missing": none, null, empty, NaN, and features that were not there', () => {
    for (const nothing of [null, {}, { group: null }, { group: [] }, { group: 'f' }]) {
      expect(levels(nothing, [1])).toEqual([[NO_SEX, NO_AGE, 0]]);
    }
    expect(levels({ group: { sex: '', age: Number.NaN } }, [Number.NaN])).toEqual([
      [NO_SEX, NO_AGE, 4],
    ]);
    const gaps = new Map([['features', new Set([13])]]);
    expect(levels(null, [1, 1], gaps).map(([, , score]) => score)).toEqual([0, 4]);
  });

  it('of a list of another length than the request has rows say nothing of any of them', () => {
    for (const sex of [['f'], ['f', 'm', 'f'], []]) {
      expect(levels({ group: { sex } }, [1, 1]).map(([first]) => first)).toEqual([NO_SEX, NO_SEX]);
    }
  });

  it('do not pass from one request to the next', () => {
    const groups = new RowGroups(manifest, [SEX, AGE, SCORE]);
    const answer = { inputs: new Map(), outputs: new Map(), rows: 1, latencyUs: 1, gaps: null };
    const into = new Uint8Array(3);
    groups.begin({ ...answer, parameters: { group: { sex: ['m'], age: 30 } } });
    groups.begin({ ...answer, parameters: null });
    groups.read(0, into);
    expect([...into]).toEqual([NO_SEX, NO_AGE, 4]);
  });
});
