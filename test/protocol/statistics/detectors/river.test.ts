import { describe, expect, it } from 'vitest';
import { DETECTORS, type DetectorRun, detectorOf, firings } from '../golden/detectors.ts';

const title = ({ kind, settings, stream }: DetectorRun) =>
  `${kind} ${JSON.stringify(settings)} on ${stream}`;

describe(`H.8: where river ${DETECTORS.versions.river} fires, so do we:`, () => {
  it.each(DETECTORS.runs.map((run) => [title(run), run] as const))('%s', (_title, run) => {
    const { drifts, warnings, firstWarning } = run;
    const ours = firings(detectorOf(run), DETECTORS.streams[run.stream]);
    expect(ours).toEqual({ drifts, warnings, firstWarning });
  });

  it.each([
    ['adwin', 'doctestValues', {}, [1023]],
    ['page-hinkley', 'doctestValues', {}, [1006]],
    ['kswin', 'doctestValues', { alpha: 0.0001, seed: 42 }, [1016]],
    ['ddm', 'doctestErrors', {}, [1334]],
    ['eddm', 'doctestErrors', { alpha: 0.8, beta: 0.75 }, [1278]],
  ])(
    "the golden file has what river's own documentation prints of %s",
    (kind, stream, settings, drifts) => {
      const run = DETECTORS.runs.find(
        (one) =>
          one.kind === kind &&
          one.stream === stream &&
          JSON.stringify(one.settings) === JSON.stringify(settings),
      );
      expect(run?.drifts).toEqual(drifts);
    },
  );
});
