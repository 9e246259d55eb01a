import {
  createDetector,
  type DetectorSettings,
  type StreamDetector,
} from '../../protocol/statistics/detectors/detector.ts';
import { wilsonInterval } from '../../protocol/statistics/wilson.ts';
import {
  CONCEPT_ROWS,
  CONCEPTS,
  conceptStream,
  type Family,
  GaussianBayes,
} from './concept-streams.ts';

/** A drift that is found later than so many rows after it began counts as missed. */
const FOUND_WITHIN = 2000;
/** Rows from which a new model's own error rate is learned, after as many as it needs to learn anything. */
const LEARNING_ROWS = 200;
const CALIBRATION_ROWS = 800;
/** A: one false alarm in at least so many rows. */
const LEVEL = 1e5;

/** A detector, or what the scores of the others must be seen beside. */
export type Contestant = DetectorSettings['kind'] | 'always' | 'never';

export interface Score {
  readonly delays: readonly number[];
  readonly missed: number;
  /** Missed drifts that were found later, before the next one: no false alarms, since the model was the old one's. */
  readonly late: number;
  readonly falseAlarms: number;
  readonly rows: number;
}

/** One detector on one stream; the model begins anew at each alarm, as a retrained one would. */
export function scoreOf(
  contestant: Contestant,
  family: Family,
  seed: number,
  gradual: boolean,
): Score {
  let model = new GaussianBayes();
  let watch = new Watch(contestant);
  const delays = new Map<number, number>();
  const late = new Set<number>();
  let [row, falseAlarms] = [0, 0];
  for (const labelled of conceptStream(family, seed, gradual)) {
    const error = Number(model.predict(labelled.x) !== labelled.y);
    model.learn(labelled);
    if (watch.sees(error)) {
      const drift = Math.floor(row / CONCEPT_ROWS);
      const delay = row % CONCEPT_ROWS;
      const fresh = drift > 0 && !delays.has(drift) && !late.has(drift);
      if (!fresh) falseAlarms += 1;
      else if (delay < FOUND_WITHIN) delays.set(drift, delay);
      else late.add(drift);
      if (contestant !== 'always') [model, watch] = [new GaussianBayes(), new Watch(contestant)];
    }
    row += 1;
  }
  const missed = CONCEPTS - 1 - delays.size;
  return { delays: [...delays.values()], missed, late: late.size, falseAlarms, rows: row };
}

export function addScores(scores: readonly Score[]): Score {
  return {
    delays: scores.flatMap(({ delays }) => delays),
    missed: scores.reduce((sum, { missed }) => sum + missed, 0),
    late: scores.reduce((sum, { late }) => sum + late, 0),
    falseAlarms: scores.reduce((sum, { falseAlarms }) => sum + falseAlarms, 0),
    rows: scores.reduce((sum, { rows }) => sum + rows, 0),
  };
}

export function meanDelay({ delays }: Score): number | null {
  if (delays.length === 0) return null;
  return delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
}

/** A detector of one model's errors. The e-detector's tolerated rate is what the model showed in its first rows. */
class Watch {
  readonly #contestant: Contestant;
  #detector: StreamDetector | null = null;
  #rows = 0;
  #errors = 0;

  constructor(contestant: Contestant) {
    this.#contestant = contestant;
  }

  sees(error: number): boolean {
    if (this.#contestant === 'always') return true;
    if (this.#contestant === 'never') return false;
    this.#rows += 1;
    if (this.#detector !== null) return this.#detector.update(error) === 'drift';
    // The others calibrate themselves, and see the model from its first row.
    const waits = this.#contestant === 'e-detector';
    if (waits && this.#rows > LEARNING_ROWS) this.#errors += error;
    if (waits && this.#rows < LEARNING_ROWS + CALIBRATION_ROWS) return false;
    const { high } = wilsonInterval(this.#errors, CALIBRATION_ROWS);
    const context = { toleratedRate: Math.min(0.95, high), logLevel: Math.log(LEVEL) };
    this.#detector = createDetector({ kind: this.#contestant }, context);
    return false;
  }
}
