/**
 * Evaluators of a window as bytes, in ascending order of name.
 *
 *     evaluators  := count, then each: name (count of bytes, UTF-8)
 *                    failed dropped flagged (3 × count), scores (a numeric feature)
 */
import type { ByteReader } from './byte-reader.ts';
import type { ByteWriter } from './byte-writer.ts';
import { SketchError } from './error.ts';
import { EVALUATOR_BINS, type EvaluatorSketch } from './evaluator.ts';
import { readNumeric, writeFeature } from './feature-codec.ts';

const MAX_EVALUATORS = 64;
const MAX_NAME_BYTES = 256;

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** @throws SketchError `value` on counts that cannot be or names that do not ascend, `limit` */
export function writeEvaluators(writer: ByteWriter, evaluators: readonly EvaluatorSketch[]): void {
  requireCount(evaluators.length);
  writer.count(evaluators.length, 'evaluators');
  for (const [k, evaluator] of evaluators.entries()) {
    const { name, scores } = evaluator;
    if (k > 0 && evaluators[k - 1].name >= name) {
      throw new SketchError('value', `evaluator "${name}" stands behind a later name`);
    }
    const bytes = encoder.encode(name);
    requireName(bytes.length);
    writer.count(bytes.length, 'evaluator.name');
    for (const byte of bytes) writer.byte(byte);
    writer.count(evaluator.failed, `${name}.failed`);
    writer.count(evaluator.dropped, `${name}.dropped`);
    writer.count(evaluator.flagged, `${name}.flagged`);
    writeFeature(writer, scores, `${name}.scores`);
  }
}

/** @throws SketchError `truncated`, `format` or `limit` */
export function readEvaluators(reader: ByteReader, maxBins: number): EvaluatorSketch[] {
  const count = reader.count('evaluators');
  requireCount(count);
  if (count === 0) throw new SketchError('format', 'evaluators: written, but none');
  const evaluators: EvaluatorSketch[] = [];
  for (let k = 0; k < count; k += 1) {
    const evaluator = readEvaluator(reader, maxBins);
    if (k > 0 && evaluators[k - 1].name >= evaluator.name) {
      throw new SketchError('format', `evaluator "${evaluator.name}" stands behind a later name`);
    }
    evaluators.push(evaluator);
  }
  return evaluators;
}

function readEvaluator(reader: ByteReader, maxBins: number): EvaluatorSketch {
  const name = readName(reader);
  const failed = reader.count('evaluator.failed');
  const dropped = reader.count('evaluator.dropped');
  const flagged = reader.count('evaluator.flagged');
  const scores = readNumeric(reader, maxBins, 'evaluator.scores');
  // Evaluators are merged by name, so that nothing else would find other bins.
  if (scores.counts.length !== EVALUATOR_BINS) {
    throw new SketchError(
      'format',
      `evaluator: ${scores.counts.length} bins, must be ${EVALUATOR_BINS}`,
    );
  }
  const scored = scores.moments.count + scores.nonFinite + scores.missing;
  if (flagged > scored) {
    throw new SketchError('format', `evaluator: ${flagged} flagged of ${scored} scored`);
  }
  return { name, failed, dropped, flagged, scores };
}

function readName(reader: ByteReader): string {
  const length = reader.count('evaluator.name');
  requireName(length);
  const bytes = new Uint8Array(length);
  for (let k = 0; k < length; k += 1) bytes[k] = reader.byte('evaluator.name');
  try {
    return decoder.decode(bytes);
  } catch {
    throw new SketchError('format', 'evaluator.name: is not UTF-8');
  }
}

function requireCount(evaluators: number): void {
  if (evaluators > MAX_EVALUATORS) {
    throw new SketchError('limit', `${evaluators} evaluators: at most ${MAX_EVALUATORS}`);
  }
}

function requireName(bytes: number): void {
  if (bytes > MAX_NAME_BYTES) {
    throw new SketchError('limit', `evaluator.name: ${bytes} bytes, at most ${MAX_NAME_BYTES}`);
  }
}
