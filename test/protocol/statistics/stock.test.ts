import { describe, expect, it } from 'vitest';
import { differences, ourAnswer, STOCK } from './golden/stock.ts';

const named = Object.entries(STOCK.answer.versions).map(([name, version]) => `${name} ${version}`);

describe(`what ${named.join(', ')} say of the golden data`, () => {
  it('is what we say', () => {
    expect(differences(ourAnswer(STOCK.data), STOCK.answer)).toEqual([]);
  });

  it('would be told apart from anything else', () => {
    const { distances, ...others } = ourAnswer(STOCK.data);
    const wrong = { ...others, distances: { ...distances, ks: 0.16183334 } };
    expect(differences(wrong, STOCK.answer)).toEqual([expect.stringMatching(/^\.distances\.ks: /)]);
    expect(differences(others, STOCK.answer)).not.toEqual([]);
  });
});
