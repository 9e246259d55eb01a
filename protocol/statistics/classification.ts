import { SketchError } from '../sketch/error.ts';

export interface Confusion {
  readonly tp: number;
  readonly fp: number;
  readonly fn: number;
  readonly tn: number;
}

/** Null where a denominator is 0: nobody was predicted, or was, of the class. */
export interface BinaryMetrics {
  readonly accuracy: number | null;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly specificity: number | null;
  readonly f1: number | null;
  /** Mean of recall and specificity. */
  readonly balancedAccuracy: number | null;
  /** Matthews' correlation coefficient, −1 to 1. */
  readonly matthews: number | null;
}

/** As scikit-learn defines them, but for its zeros where there is nothing to divide by. */
export function binaryMetrics({ tp, fp, fn, tn }: Confusion): BinaryMetrics {
  const recall = ratio(tp, tp + fn);
  const specificity = ratio(tn, tn + fp);
  // Roots one by one: the product of four counts of 1e8 has no exact float64.
  const scale = Math.sqrt(tp + fp) * Math.sqrt(tp + fn) * Math.sqrt(tn + fp) * Math.sqrt(tn + fn);
  return {
    accuracy: ratio(tp + tn, tp + fp + fn + tn),
    precision: ratio(tp, tp + fp),
    recall,
    specificity,
    f1: ratio(2 * tp, 2 * tp + fp + fn),
    balancedAccuracy: recall === null || specificity === null ? null : (recall + specificity) / 2,
    matthews: scale > 0 ? (tp * tn - fp * fn) / scale : null,
  };
}

export interface ClassMetrics {
  /** Rows that are of the class. */
  readonly support: number;
  readonly precision: number | null;
  readonly recall: number | null;
  readonly f1: number | null;
}

export interface MulticlassMetrics {
  readonly rows: number;
  readonly accuracy: number | null;
  /** Means over the classes that were predicted or true; a class that was only one of the two counts 0. */
  readonly macroPrecision: number | null;
  readonly macroRecall: number | null;
  readonly macroF1: number | null;
  /** Agreement beyond chance (Cohen 1960); null where chance alone agrees always. */
  readonly kappa: number | null;
  readonly classes: readonly ClassMetrics[];
}

/**
 * @param confusion classes², row by row: row = predicted, column = actual
 * @throws SketchError `shape` unless it is square
 */
export function multiclassMetrics(confusion: Float64Array): MulticlassMetrics {
  const classes = Math.sqrt(confusion.length);
  if (!Number.isInteger(classes)) {
    throw new SketchError('shape', `a confusion matrix of ${confusion.length} cells: not square`);
  }
  const predicted = new Float64Array(classes);
  const actual = new Float64Array(classes);
  let rows = 0;
  let right = 0;
  for (const [at, count] of confusion.entries()) {
    predicted[Math.floor(at / classes)] += count;
    actual[at % classes] += count;
    rows += count;
    if (at % (classes + 1) === 0) right += count;
  }
  const each = Array.from(predicted, (said, k): ClassMetrics => {
    const hits = confusion[k * (classes + 1)];
    return {
      support: actual[k],
      precision: ratio(hits, said),
      recall: ratio(hits, actual[k]),
      f1: ratio(2 * hits, said + actual[k]),
    };
  });
  const seen = each.filter(({ f1 }) => f1 !== null);
  const chance = predicted.reduce((sum, said, k) => sum + (said / rows) * (actual[k] / rows), 0);
  return {
    rows,
    accuracy: ratio(right, rows),
    macroPrecision: mean(seen.map(({ precision }) => precision ?? 0)),
    macroRecall: mean(seen.map(({ recall }) => recall ?? 0)),
    macroF1: mean(seen.map(({ f1 }) => f1 ?? 0)),
    kappa: chance < 1 ? (right / rows - chance) / (1 - chance) : null,
    classes: each,
  };
}

function ratio(part: number, whole: number): number | null {
  return whole > 0 ? part / whole : null;
}

function mean(values: readonly number[]): number | null {
  return ratio(
    values.reduce((sum, value) => sum + value, 0),
    values.length,
  );
}
