import { z } from 'zod';
import {
  armSchema,
  featureNameSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from '../../protocol/ids.ts';
import { MAX_NAME_LENGTH } from '../../protocol/limits.ts';
import { resolutions } from './resolution.ts';

/** Parts of an answer. `hosts` reads the span before, too, and is left out unless asked for. */
export const sections = [
  'windows',
  'features',
  'operations',
  'fairness',
  'performance',
  'hosts',
] as const;
export type Section = (typeof sections)[number];

const DEFAULT_SECTIONS: readonly Section[] = sections.filter((section) => section !== 'hosts');

/** Names in one filter: more than a person types, few enough for one SQL statement. */
export const MAX_NAMES = 100;

const time = z.coerce.number().pipe(timestampSchema).optional();

/** `a,b` or the parameter given many times. */
function list<T extends z.ZodType<string, string>>(item: T) {
  return z
    .union([z.string(), z.array(z.string())])
    .transform((given) => (typeof given === 'string' ? given.split(',') : given).filter(Boolean))
    .pipe(z.array(item).max(MAX_NAMES))
    .optional();
}

/** A feature's name may hold a comma, so it is repeated and not split. */
const names = z
  .union([z.string(), z.array(z.string())])
  .transform((given) => (typeof given === 'string' ? [given] : given))
  .pipe(z.array(featureNameSchema).max(MAX_NAMES))
  .optional();

const label = z
  .string()
  .max(2 * MAX_NAME_LENGTH + 1)
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*=/, 'a label is "key=value"');

export const monitoringQuerySchema = z.object({
  from: time.describe('Milliseconds since the epoch; default: an hour before `to`.'),
  to: time.describe('Exclusive; default: now.'),
  resolution: z
    .enum(resolutions)
    .default('auto')
    .describe('Length of a point; at most 1000 points.'),
  include: list(z.enum(sections)).describe('Parts of the answer, as a,b; default: all but hosts.'),
  feature: names.describe('Only these features; may be repeated.'),
  group: names.describe('Fairness of these attributes only; may be repeated.'),
  agent: list(nameSchema).describe('Only windows of these hosts, by id or name, as a,b.'),
  label: list(label).describe(
    'Only windows of hosts that carry these labels, as key=value,key=value.',
  ),
  arm: armSchema.optional().describe('Only this arm; default: all.'),
  version: z.coerce
    .number()
    .pipe(versionNumberSchema)
    .optional()
    .describe('Default: the one that serves.'),
});

export type MonitoringQuery = z.infer<typeof monitoringQuerySchema>;

/** The part of a query that is left to defaults filled in. */
export function sectionsOf({ include }: MonitoringQuery): ReadonlySet<Section> {
  return new Set(include ?? DEFAULT_SECTIONS);
}

export function labelsOf({ label: given = [] }: MonitoringQuery): Record<string, string> {
  return Object.fromEntries(
    given.map((text) => {
      const at = text.indexOf('=');
      return [text.slice(0, at), text.slice(at + 1)];
    }),
  );
}
