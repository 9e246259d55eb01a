import { z } from 'zod';
import type { FeatureValue } from '../../../protocol/feature-value.ts';
import { describe } from '../../../protocol/wire.ts';
import { messageOf } from '../../error.ts';

/** The features of one entity, in the order in which they were asked for; null: not to be had. */
export type FeatureRow = readonly (FeatureValue | null)[];

/** An answer of a feature server that is none. */
export class FeatureAnswerError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'FeatureAnswerError';
  }
}

/** `GetOnlineFeaturesResponse` of Feast as its server writes it: a result for each name, in them a value for each row. */
const answerSchema = z.object({
  metadata: z.object({ feature_names: z.array(z.string()) }),
  results: z.array(
    z.object({
      values: z.array(z.unknown()),
      statuses: z.array(
        z.enum(['INVALID', 'PRESENT', 'NULL_VALUE', 'NOT_FOUND', 'OUTSIDE_MAX_AGE']),
      ),
      event_timestamps: z.array(z.string()).optional(),
    }),
  ),
});
type Result = z.infer<typeof answerSchema>['results'][number];

export interface Asked {
  /** As `view:feature`. */
  readonly features: readonly string[];
  readonly rows: number;
  /** Values whose event is older are missing; null: whatever their age. */
  readonly maxAgeMs: number | null;
}

/**
 * The rows in an answer. Found by name, because the order of features differs from one server process to the next.
 * A value is there when its status is PRESENT and it is not null: Feast says PRESENT of nulls and of values beyond
 * their time to live. Throws `FeatureAnswerError`. `nowMs`: Unix time.
 */
export function readFeatureAnswer(body: Buffer, asked: Asked, nowMs: number): FeatureRow[] {
  const parsed = answerSchema.safeParse(parseExact(body));
  if (!parsed.success) throw new FeatureAnswerError(describe(parsed.error).slice(0, 300));
  const { metadata, results } = parsed.data;
  const names = metadata.feature_names;
  if (names.length !== results.length) {
    throw new FeatureAnswerError(`${names.length} names for ${results.length} results`);
  }
  const columns = asked.features.map((feature) => {
    const name = feature.replace(':', '__');
    const result = results[names.indexOf(name)];
    if (result === undefined) throw new FeatureAnswerError(`it has no "${name}"`);
    checkCounts(name, result, asked.rows);
    return columnOf(name, result, asked.maxAgeMs, nowMs);
  });
  return Array.from({ length: asked.rows }, (_, row) => columns.map((values) => values[row]));
}

function checkCounts(name: string, { values, statuses }: Result, rows: number): void {
  if (values.length === rows && statuses.length === rows) return;
  throw new FeatureAnswerError(
    `"${name}" has ${values.length} values and ${statuses.length} statuses for ${rows} rows`,
  );
}

function columnOf(
  name: string,
  { values, statuses, event_timestamps: times }: Result,
  maxAgeMs: number | null,
  nowMs: number,
): (FeatureValue | null)[] {
  return values.map((value, row) => {
    if (value === null || statuses[row] !== 'PRESENT') return null;
    // Negated, so that an event without a time counts as too old.
    if (maxAgeMs !== null && !(nowMs - Date.parse(times?.[row] ?? '') <= maxAgeMs)) return null;
    return scalarOf(name, value);
  });
}

function scalarOf(name: string, value: unknown): FeatureValue {
  if (typeof value === 'number' || typeof value === 'string' || typeof value === 'boolean') {
    return value;
  }
  const digits: unknown = typeof value === 'object' && value !== null && Reflect.get(value, DIGITS);
  if (typeof digits === 'string') return BigInt(digits);
  throw new FeatureAnswerError(`"${name}" has a value that is no scalar`);
}

const DIGITS = 'digits';
/** Strings whole, so that digits in them stay; and integers too long for a double. */
const TOKENS = /"(?:[^"\\]|\\.)*"|(?<![\d.eE+-])-?\d{16,}(?![\d.eE])/g;
const LONG = /\d{16}/;

/** JSON in which integers of 16 digits and more come as `{digits}`: `JSON.parse` rounds them. */
function parseExact(body: Buffer): unknown {
  const text = body.toString('utf8');
  const marked = LONG.test(text)
    ? text.replace(TOKENS, (token) => (token.startsWith('"') ? token : `{"${DIGITS}":"${token}"}`))
    : text;
  try {
    return JSON.parse(marked);
  } catch (cause) {
    throw new FeatureAnswerError(`it is not JSON: ${messageOf(cause).slice(0, 200)}`, { cause });
  }
}
