import { z } from 'zod';
import { nameSchema } from './ids.ts';
import { MAX_LOOKUP_CACHE_ENTRIES, MAX_LOOKUP_COLUMNS, MAX_LOOKUP_ENTITIES } from './limits.ts';

const partSchema = /^[^:\s"\\]{1,128}:[^:\s"\\]{1,128}$/;

/** A feature as Feast names it in a request: `view:feature`. */
const featureRefSchema = z.string().regex(partSchema, 'a feature is written view:feature');

/** A join key. It becomes an input of the deployment, so it is no path and holds no quotes. */
const joinKeySchema = z
  .string()
  .regex(/^[A-Za-z_][A-Za-z0-9_.-]{0,127}$/, 'a join key starts with a letter or "_"');

export const lookupEntitySchema = z.strictObject({
  /** The feature server's join key, and the name of the input that carries it. */
  name: joinKeySchema,
  datatype: z.enum(['INT64', 'BYTES']),
});

export const lookupColumnSchema = z.strictObject({
  feature: featureRefSchema,
  /** Element `index` of each row of this input of the model. */
  tensor: z.string().min(1).max(256),
  index: z.int().min(0).default(0),
  /** In place of a value that cannot be had, under `onMissing: default`. "NaN" for a float; true and false as 1 and 0. */
  default: z.union([z.number(), z.string().max(1024)]).optional(),
});
export type LookupColumn = z.infer<typeof lookupColumnSchema>;

/**
 * Columns of a model that a host fetches from a Feast feature server, by keys in the request. Which server a name
 * stands for is said by each host's operator, never by this document.
 */
export const featureLookupSchema = z
  .strictObject({
    /** A name that hosts know by `--feature-server NAME=URL`. */
    server: nameSchema,
    /** What is asked for; absent: what the columns name. */
    features: z.array(featureRefSchema).min(1).max(MAX_LOOKUP_COLUMNS).optional(),
    /** Asked for by name, in place of a list. */
    featureService: z
      .string()
      .regex(/^[^\s"\\]{1,128}$/)
      .optional(),
    entities: z.array(lookupEntitySchema).min(1).max(MAX_LOOKUP_ENTITIES),
    columns: z.array(lookupColumnSchema).min(1).max(MAX_LOOKUP_COLUMNS),
    /** How long one call of the feature server may take. */
    timeoutMs: z.int().min(1).max(60_000).default(50),
    /** How long a row of features is kept; 0: not at all. */
    cacheMs: z.int().min(0).max(86_400_000).default(0),
    /** Rows kept by each engine process. */
    cacheEntries: z.int().min(1).max(MAX_LOOKUP_CACHE_ENTRIES).default(10_000),
    /** Values whose event is older than this are missing; absent: as the feature server judges. */
    maxAgeMs: z.int().min(1).max(3_155_760_000_000).optional(),
    /** A value that cannot be had: refuse the request, or put the column's default in its place. */
    onMissing: z.enum(['refuse', 'default']).default('refuse'),
  })
  .check((context) => {
    for (const message of contradictions(context.value)) {
      context.issues.push({ code: 'custom', message, input: context.value });
    }
  });
export type FeatureLookup = z.infer<typeof featureLookupSchema>;

interface Lookup {
  readonly features?: readonly string[] | undefined;
  readonly featureService?: string | undefined;
  readonly entities: readonly { readonly name: string }[];
  readonly columns: readonly LookupColumn[];
  readonly onMissing: 'refuse' | 'default';
}

function contradictions(lookup: Lookup): string[] {
  const { features, featureService, entities, columns, onMissing } = lookup;
  const told: string[] = [];
  if (features !== undefined && featureService !== undefined) {
    told.push('give features or featureService, not both');
  }
  const twice = firstTwice(entities.map(({ name }) => name));
  if (twice !== null) told.push(`entity "${twice}" is named twice`);
  const place = firstTwice(columns.map(({ tensor, index }) => `"${tensor}"[${index}]`));
  if (place !== null) told.push(`two columns are put into ${place}`);
  for (const column of columns) {
    if (features !== undefined && !features.includes(column.feature)) {
      told.push(`a column takes "${column.feature}", which is not among the features asked for`);
    }
    if (onMissing === 'default' && column.default === undefined) {
      told.push(`onMissing is "default", and the column of "${column.feature}" has no default`);
    }
  }
  return told;
}

function firstTwice(names: readonly string[]): string | null {
  const seen = new Set<string>();
  for (const name of names) {
    if (seen.has(name)) return name;
    seen.add(name);
  }
  return null;
}
