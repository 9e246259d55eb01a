import { expect, it } from 'vitest';
import type { DecisionSource } from '../../../agent/engine/decision-batch.ts';
import { ErrorWatch } from '../../../agent/labels/error-watch.ts';
import { parseConceptDrift } from '../../../protocol/concept-drift.ts';
import type { DetectorConfig } from '../../../protocol/detector.ts';

const SOURCE: DecisionSource = {
  manifest: `sha256:${'a'.repeat(64)}`,
  arm: 'stable',
  grid: { kind: 'binary', axes: [], scoreBins: 64, classes: [] },
  classes: null,
  positive: '1',
  window: '',
  validation: { labelled: 1000, errors: 100, errorAbs: 0 },
};

function watch(detectors: readonly DetectorConfig[]) {
  const told: string[] = [];
  const watching = new ErrorWatch(
    'loans',
    () => ({ detectors }),
    (detail) => told.push(detail),
  );
  const see = (errors: readonly number[], source = SOURCE) => {
    for (const error of errors) watching.see({ source, error });
  };
  return { watching, told, see };
}

const usual = Array.from({ length: 500 }, (_, at) => (at % 10 === 0 ? 1 : 0));
const wrong = new Array<number>(200).fill(1);

it('EVENT-1: tells each change as the detail of an event, by the detector that found it', () => {
  const { watching, told, see } = watch([{ kind: 'e-detector' }, { kind: 'adwin' }]);
  see(usual);
  expect(told).toEqual([]);
  see(wrong);
  const { manifest, arm } = SOURCE;
  const found = told.map(parseConceptDrift);
  for (const detector of ['e-detector', 'adwin']) {
    expect(found).toContainEqual({ deployment: 'loans', manifest, arm, detector });
  }
  expect(Object.values(watching.drifts).reduce((sum, count) => sum + count, 0)).toBe(told.length);
});

it('watches arms apart: the errors of one are none of the other', () => {
  const { told, see } = watch([{ kind: 'e-detector' }]);
  see(usual);
  see(wrong, { ...SOURCE, arm: 'candidate' });
  expect(told.map((detail) => parseConceptDrift(detail)?.arm)).toContain('candidate');
  expect(told.map((detail) => parseConceptDrift(detail)?.arm)).not.toContain('stable');
});

it('watches a regression in units of its baseline’s errors, and not at all without one', () => {
  const grid: DecisionSource['grid'] = {
    kind: 'regression',
    axes: [],
    scoreBins: 0,
    classes: [],
  };
  const validation = { labelled: 1000, errors: 0, errorAbs: 2000 };
  const steady = new Array<number>(300).fill(2);
  const far = new Array<number>(300).fill(20);
  const { told, see } = watch([{ kind: 'e-detector' }]);
  see(steady, { ...SOURCE, grid, validation });
  see(far, { ...SOURCE, arm: 'candidate', grid, validation: null });
  expect(told).toEqual([]);
  see(far, { ...SOURCE, grid, validation });
  expect(told.length).toBeGreaterThan(0);
});
