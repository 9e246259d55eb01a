import { z } from 'zod';
import { timestampSchema } from '../../protocol/ids.ts';
import { featureViewSchema, monitoringViewSchema } from './monitoring-view.ts';

/** The data of a report as JSON. `report/report-data.ts` says what it means; the compiler checks one against the other. */

const sides = { reference: z.number(), current: z.number() };
const list = <T extends z.ZodType>(item: T) => z.array(item).readonly();

const plot = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('histogram'),
    bins: list(z.object({ low: z.number(), high: z.number(), ...sides })),
    below: z.object(sides),
    above: z.object(sides),
    note: z.string().optional(),
  }),
  z.object({ kind: z.literal('bars'), bars: list(z.object({ label: z.string(), ...sides })) }),
]);

const featureReport = z.object({
  ...featureViewSchema.shape,
  kind: z.enum(['numeric', 'categorical', 'hashed', 'text', 'datetime', 'id']),
  reason: z.string().nullable(),
  plot: plot.nullable(),
  outOfRange: featureViewSchema.shape.missing.nullable().optional(),
  points: monitoringViewSchema.shape.prediction.unwrap().shape.points,
});

const tensorReport = z.object({
  ...monitoringViewSchema.shape.tensors.unwrap().unwrap().element.shape,
  measures: list(featureReport),
});

export const reportViewSchema = z.object({
  title: z.string(),
  subtitle: z.string(),
  madeAtMs: timestampSchema,
  period: z.object({ fromMs: timestampSchema, toMs: timestampSchema }).nullable(),
  sides: z.object({
    reference: z.object({ name: z.string(), rows: z.number() }),
    current: z.object({ name: z.string(), rows: z.number() }),
  }),
  verdict: featureViewSchema.shape.verdict,
  features: list(featureReport),
  prediction: featureReport.nullable(),
  tensors: list(tensorReport),
  fairness: monitoringViewSchema.shape.fairness,
  performance: monitoringViewSchema.shape.performance,
  operations: monitoringViewSchema.shape.operations,
  notes: list(z.string()),
});
