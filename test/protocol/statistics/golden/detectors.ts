import { readFileSync } from 'node:fs';
import { Adwin } from '../../../../protocol/statistics/detectors/adwin.ts';
import { Ddm } from '../../../../protocol/statistics/detectors/ddm.ts';
import type {
  DetectorSignal,
  StreamDetector,
} from '../../../../protocol/statistics/detectors/detector.ts';
import { Eddm } from '../../../../protocol/statistics/detectors/eddm.ts';
import { Kswin } from '../../../../protocol/statistics/detectors/kswin.ts';
import { PageHinkley } from '../../../../protocol/statistics/detectors/page-hinkley.ts';

/** Where one of river's detectors fired on one stream. */
export interface DetectorRun {
  readonly kind: 'adwin' | 'page-hinkley' | 'kswin' | 'ddm' | 'eddm';
  /** As river names them. */
  readonly settings: Readonly<Record<string, number | string>>;
  readonly stream: string;
  readonly drifts: readonly number[];
  readonly warnings: number;
  readonly firstWarning: number | null;
}

export interface DetectorGolden {
  readonly versions: Readonly<Record<string, string>>;
  readonly streams: Readonly<Record<string, readonly number[]>>;
  readonly runs: readonly DetectorRun[];
}

/** What detectors.py wrote. */
export const DETECTORS: DetectorGolden = JSON.parse(
  readFileSync(new URL('./detectors.json', import.meta.url), 'utf8'),
);

const MAKERS = {
  adwin: (settings: object) => new Adwin(settings),
  'page-hinkley': (settings: object) => new PageHinkley(settings),
  kswin: (settings: object) => new Kswin(settings),
  ddm: (settings: object) => new Ddm(settings),
  eddm: (settings: object) => new Eddm(settings),
};

/** Our detector with river's settings. */
export function detectorOf({ kind, settings }: DetectorRun): StreamDetector {
  const renamed = Object.entries(settings).map(([name, value]) => [
    name === 'mode' ? 'direction' : name.replace(/_(.)/g, (_, letter) => letter.toUpperCase()),
    value,
  ]);
  return MAKERS[kind](Object.fromEntries(renamed));
}

/** Where it fires on a stream, as a run of river's tells it. */
export function firings(detector: StreamDetector, stream: readonly number[]) {
  const at = (wanted: DetectorSignal, signals: readonly DetectorSignal[]) =>
    signals.flatMap((signal, index) => (signal === wanted ? [index] : []));
  const signals = stream.map((x) => detector.update(x));
  const warnings = at('warning', signals);
  return {
    drifts: at('drift', signals),
    warnings: warnings.length,
    firstWarning: warnings[0] ?? null,
  };
}
