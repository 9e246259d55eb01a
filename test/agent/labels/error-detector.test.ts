import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { errorDetector } from '../../../agent/labels/error-detector.ts';
import { type DetectorConfig, detectorSchema } from '../../../protocol/detector.ts';

const BASELINE = { errors: 100, labelled: 1000 };
const KINDS = ['e-detector', 'adwin', 'ddm', 'eddm', 'page-hinkley', 'kswin'] as const;

/** The number of the label at which it fires, from 1; null: never. */
function firesAt(config: DetectorConfig, losses: readonly number[], baseline = BASELINE) {
  const detector = errorDetector(config, baseline);
  if (detector === null) throw new Error('no detector');
  const at = losses.findIndex((loss) => detector.update(loss));
  return at < 0 ? null : at + 1;
}

/** One error in `every` labels. */
const errorsOf = (every: number, labels: number) =>
  Array.from({ length: labels }, (_, i) => (i % every === 0 ? 1 : 0));

describe('the detector of errors that monitoring names', () => {
  it('is none where an e-detector has neither a tolerated rate nor a labelled baseline', () => {
    expect(errorDetector({ kind: 'e-detector' }, null)).toBeNull();
    expect(errorDetector({ kind: 'e-detector' }, { errors: 0, labelled: 0 })).toBeNull();
    expect(errorDetector({ kind: 'e-detector', toleratedRate: 0.1 }, null)).not.toBeNull();
    expect(errorDetector({ kind: 'adwin' }, null)).not.toBeNull();
  });

  it.each(KINDS.filter((kind) => kind !== 'eddm' && kind !== 'page-hinkley'))(
    '%s says that errors rise from one in ten to every label',
    (kind) => {
      const at = firesAt({ kind }, [...errorsOf(10, 1000), ...errorsOf(1, 500)]);
      expect(at).toBeGreaterThan(1000);
    },
  );

  it('e-detector takes what was set before what the baseline had', () => {
    const half = errorsOf(2, 2000);
    expect(firesAt({ kind: 'e-detector' }, half)).not.toBeNull();
    expect(firesAt({ kind: 'e-detector', toleratedRate: 0.6 }, half)).toBeNull();
  });

  it.each(['e-detector', 'adwin', 'ddm', 'page-hinkley'] as const)(
    '%s is silent while errors become fewer',
    (kind) => {
      expect(firesAt({ kind }, [...errorsOf(10, 1000), ...errorsOf(2000, 2000)])).toBeNull();
    },
  );

  it('e-detector has a rate to compare with where the baseline was all right or all wrong', () => {
    expect(
      firesAt({ kind: 'e-detector' }, errorsOf(1, 100), { errors: 0, labelled: 50 }),
    ).toBeGreaterThan(0);
    expect(
      firesAt({ kind: 'e-detector' }, errorsOf(1, 100), { errors: 9, labelled: 9 }),
    ).toBeNull();
  });
});

describe('settings that make no detector', () => {
  it('are refused when they are set, so that no label fails by them', () => {
    for (const config of [
      { kind: 'kswin', windowSize: 10 },
      { kind: 'kswin', statSize: 51 },
      { kind: 'eddm', alpha: 0.8 },
      { kind: 'eddm', beta: 0.96 },
    ]) {
      expect(detectorSchema.safeParse(config).success, JSON.stringify(config)).toBe(false);
    }
  });

  it('what is accepted always makes a detector', () => {
    const share = fc.double({ min: 0.001, max: 0.999, noNaN: true });
    const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });
    const settings = fc.oneof(
      fc.record({ kind: fc.constant('eddm'), alpha: maybe(share), beta: maybe(share) }),
      fc.record({
        kind: fc.constant('kswin'),
        windowSize: maybe(fc.integer({ min: 4, max: 300 })),
        statSize: maybe(fc.integer({ min: 2, max: 150 })),
      }),
      fc.record({ kind: fc.constant('adwin'), delta: maybe(share) }),
      fc.record({ kind: fc.constant('e-detector'), toleratedRate: maybe(share) }),
    );
    fc.assert(
      fc.property(settings, (config) => {
        const parsed = detectorSchema.safeParse(config);
        if (parsed.success) expect(errorDetector(parsed.data, BASELINE)).not.toBeNull();
      }),
    );
  });
});
