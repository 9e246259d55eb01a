import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeWindow, encodeWindow } from '../../../protocol/sketch/codec.ts';
import { mergeWindow } from '../../../protocol/sketch/window.ts';
import { withoutOutcomes } from '../../../protocol/sketch/withhold.ts';
import { anyOutcomes, emptyWatched, watchedWindow } from './watched.ts';

describe.each(['binary', 'multiclass', 'regression'] as const)('outcomes of a %s model', (kind) => {
  it('RESIDENCY-5: are gone, and nothing else of the window is', () => {
    fc.assert(
      fc.property(anyOutcomes(kind), (rows) => {
        const window = { ...watchedWindow(kind, rows), rows: rows.length, requests: rows.length };
        const { body, isEmpty } = withoutOutcomes(encodeWindow(window));
        const rest = decodeWindow(body);
        expect(rest.outcome).toBeNull();
        expect(rest).toEqual({ ...decodeWindow(encodeWindow(window)), outcome: null });
        expect(isEmpty).toBe(rows.length === 0);
        expect(withoutOutcomes(body)).toEqual({ body, isEmpty });
      }),
    );
  });
});

it('RESIDENCY-5: a window without them merges into one with them and adds nothing to them', () => {
  const rows = fc.sample(
    anyOutcomes('binary').filter((all) => all.length > 0),
    1,
  )[0];
  const window = { ...watchedWindow('binary', rows), rows: rows.length };
  const into = emptyWatched('binary');
  mergeWindow(into, decodeWindow(withoutOutcomes(encodeWindow(window)).body));
  expect(into.rows).toBe(rows.length);
  expect(into.outcome).toEqual(emptyWatched('binary').outcome);
});

it('RESIDENCY-5: a window of labels alone has nothing left', () => {
  const labelled = { group: 0, prediction: 0.7, label: 1, vector: [0, 0], score: null } as const;
  const window = { ...watchedWindow('binary', [{ ...labelled, kind: 'binary' }]), evaluators: [] };
  expect(withoutOutcomes(encodeWindow(window)).isEmpty).toBe(true);
});
