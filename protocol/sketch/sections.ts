import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { type CostSketch, emptyCost } from './cost.ts';
import { SketchError } from './error.ts';
import type { EvaluatorSketch } from './evaluator.ts';
import { readEvaluators, writeEvaluators } from './evaluator-codec.ts';
import type { OutcomeSketch } from './outcome.ts';
import { isEmptyOutcome, readOutcome, writeOutcome } from './outcome-codec.ts';
import { isEmptyTensor, readTensors, writeTensors } from './tensor-codec.ts';
import type { TensorSketch } from './tensor-sketch.ts';

/** What of a window only some versions have. Layout: see codec.ts. */
export interface Sections {
  readonly outcome: OutcomeSketch | null;
  readonly tensors: readonly TensorSketch[];
  readonly evaluators: EvaluatorSketch[];
  readonly cost: CostSketch;
}

const OUTCOME = 1;
const TENSORS = 2;
const EVALUATORS = 3;
const COST = 4;

export function noSections(): { -readonly [Name in keyof Sections]: Sections[Name] } {
  return { outcome: null, tensors: [], evaluators: [], cost: emptyCost() };
}

/** Writes the sections that hold anything. @throws SketchError `value` or `limit` */
export function writeSections(writer: ByteWriter, sections: Sections): void {
  const { outcome, tensors, evaluators, cost } = sections;
  if (outcome !== null && !isEmptyOutcome(outcome)) {
    writer.byte(OUTCOME);
    writeOutcome(writer, outcome);
  }
  if (!tensors.every(isEmptyTensor)) {
    writer.byte(TENSORS);
    writeTensors(writer, tensors);
  }
  if (evaluators.length > 0) {
    writer.byte(EVALUATORS);
    writeEvaluators(writer, evaluators);
  }
  if (!isFree(cost)) {
    requireCost('value', cost);
    writer.byte(COST);
    for (const amount of amounts(cost)) writer.float64(amount);
  }
}

/**
 * Reads sections up to the end: each at most once, in ascending order.
 *
 * @throws SketchError `truncated`, `format` or `limit`
 */
export function readSections(reader: ByteReader, maxBins: number): Sections {
  const sections = noSections();
  let last = 0;
  while (reader.remaining > 0) {
    const section = reader.byte('section');
    if (section <= last || section > COST) {
      throw new SketchError('format', `section ${section} after ${last}: must rise, to ${COST}`);
    }
    last = section;
    if (section === OUTCOME) sections.outcome = readOutcome(reader);
    else if (section === TENSORS) sections.tensors = readTensors(reader, maxBins);
    else if (section === EVALUATORS) sections.evaluators = readEvaluators(reader, maxBins);
    else sections.cost = readCost(reader);
  }
  return sections;
}

function readCost(reader: ByteReader): CostSketch {
  const cost = {
    computeUs: reader.float64('cost.computeUs'),
    priceMicros: reader.float64('cost.priceMicros'),
    idleMicros: reader.float64('cost.idleMicros'),
    energyJ: reader.float64('cost.energyJ'),
  };
  requireCost('format', cost);
  if (isFree(cost)) throw new SketchError('format', 'cost: written, but nothing');
  return cost;
}

function amounts({ computeUs, priceMicros, idleMicros, energyJ }: CostSketch): readonly number[] {
  return [computeUs, priceMicros, idleMicros, energyJ];
}

function isFree(cost: CostSketch): boolean {
  return amounts(cost).every((amount) => amount === 0);
}

/** Largest amount: sums of 2^53 of them are still finite. */
const MAX_AMOUNT = 2 ** 960;

function requireCost(kind: 'value' | 'format', cost: CostSketch): void {
  if (amounts(cost).every((amount) => amount >= 0 && amount <= MAX_AMOUNT)) return;
  throw new SketchError(kind, `cost: ${amounts(cost).join(', ')} must be finite and at least 0`);
}
