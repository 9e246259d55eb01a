import { z } from 'zod';
import {
  armSchema,
  digestSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from '../../protocol/ids.ts';

/** The shape of a monitoring answer. `reading/` makes it; its types are checked against these by the compiler. */

const verdict = z.enum(['ok', 'watch', 'alert', 'insufficient']);
const gapVerdict = z.enum(['violates', 'complies', 'insufficient']);
const interval = { low: z.number(), high: z.number() };
const sides = z.object({ reference: z.number(), current: z.number() });
const rate = z.object({ reference: z.number(), current: z.number(), ...interval });
const estimate = z.object({ value: z.number(), trials: z.number(), ...interval });
const counts = { requests: z.number(), rows: z.number(), errors: z.number() };
const list = <T extends z.ZodType>(item: T) => z.array(item).readonly();

export const featureViewSchema = z.object({
  name: z.string(),
  kind: z.enum(['numeric', 'categorical', 'hashed']),
  verdict,
  rows: sides,
  psi: z.number(),
  debiasedPsi: z.number(),
  psiInterval: z.object(interval).nullable(),
  ksInterval: z.object(interval).nullable(),
  wassersteinInterval: z.object(interval).nullable(),
  jsInterval: z.object(interval).nullable(),
  lInfinityInterval: z.object(interval).nullable(),
  ks: z.number().nullable(),
  wasserstein: z.number().nullable().describe('In standard deviations of the baseline.'),
  js: z.number(),
  lInfinity: z.number(),
  pValue: z.number(),
  logP: z.number(),
  adjustedP: z.number().describe('Benjamini–Hochberg over the features of this answer.'),
  missing: rate,
  unseen: rate,
  mean: z.object({ ...sides.shape, ...interval }).nullable(),
  sigma: sides.nullable(),
});

const point = z.object({
  startMs: timestampSchema,
  rows: z.number(),
  debiasedPsi: z.number(),
  wasserstein: z.number().nullable(),
  missing: z.number(),
});

export const tensorViewSchema = z.object({
  name: z.string(),
  verdict,
  rows: sides,
  effect: z.number().describe('The largest of the parts, in units of a feature’s debiased PSI.'),
  cloud: z.number().describe('Of all rows together: MMD² over the scatter of the baseline.'),
  centroids: z.number().describe('Debiased PSI of which centroid is nearest.'),
  pValue: z.number(),
  logP: z.number(),
  adjustedP: z.number().describe('Benjamini–Hochberg over the tensors of this answer.'),
  measures: list(featureViewSchema),
});

const tensorPoint = z.object({
  startMs: timestampSchema,
  rows: z.number(),
  effect: z.number(),
});

const hostPart = z.object({
  host: z.string(),
  rows: z.object({ before: z.number(), now: z.number() }),
  share: z.object({ before: z.number(), now: z.number() }),
  within: z.number(),
  mix: z.number(),
});

const decompositionSchema = z.object({
  name: z.string(),
  total: z.number(),
  within: z.number(),
  mix: z.number(),
  interaction: z.number(),
  cause: z.enum(['within', 'mix', 'both', 'none']),
  hosts: list(hostPart),
  heterogeneity: z.object({ q: z.number(), df: z.number(), iSquared: z.number() }).nullable(),
});

const operationsSchema = z.object({
  requests: z.number(),
  rows: z.number(),
  requestsPerSecond: z.number(),
  errorRate: estimate,
  nonFiniteRate: estimate,
  latencyUs: z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable(),
  cost: z.object({
    computeUs: z.number(),
    priceMicros: z.number(),
    idleMicros: z.number().describe('Part of the price in which nothing was computed.'),
    energyJ: z.number(),
    computeUsPerRow: z.number().nullable(),
    priceMicrosPerThousandRows: z.number().nullable(),
  }),
  evaluators: list(
    z.object({
      name: z.string(),
      scored: z.number(),
      failed: z.number(),
      mean: z.number(),
      flagged: estimate,
    }),
  ),
});

const fairnessSchema = z.object({
  attribute: z.string(),
  verdict: gapVerdict,
  reference: z.string().nullable(),
  groups: list(
    z.object({
      group: z.string(),
      rows: z.number(),
      labelled: z.number(),
      completeness: z.number(),
      small: z.boolean(),
      selectionRate: estimate,
      truePositiveRate: estimate.nullable(),
      falsePositiveRate: estimate.nullable(),
      positivePredictiveValue: estimate.nullable(),
      calibrationGap: z.number().nullable(),
    }),
  ),
  metrics: z
    .object({
      demographicParityDifference: z.number().nullable(),
      demographicParityRatio: z.number().nullable(),
      equalOpportunityDifference: z.number().nullable(),
      equalOpportunityRatio: z.number().nullable(),
      equalizedOddsDifference: z.number().nullable(),
      equalizedOddsRatio: z.number().nullable(),
      averageOddsDifference: z.number().nullable(),
      predictiveParityDifference: z.number().nullable(),
      calibrationDifference: z.number().nullable(),
    })
    .nullable(),
  ratioVerdict: gapVerdict,
  gaps: list(
    z.object({
      rate: z.enum(['selectionRate', 'truePositiveRate', 'falsePositiveRate']),
      group: z.string(),
      against: z.string(),
      difference: z.number(),
      interval: z.object(interval),
      sequence: z.object(interval).nullable(),
      verdict: gapVerdict,
      rowsNeeded: z.number().nullable(),
    }),
  ),
});

const realisedSchema = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('binary'),
    accuracy: estimate,
    precision: estimate,
    recall: estimate,
    falsePositiveRate: estimate,
    f1: z.number().nullable(),
    auc: z.object({ value: z.number(), ...interval }).nullable(),
    calibrationError: z.number().nullable(),
    accuracyBounds: z.object(interval),
  }),
  z.object({
    kind: z.literal('multiclass'),
    accuracy: estimate,
    accuracyBounds: z.object(interval),
    macroF1: z.number().nullable(),
  }),
  z.object({
    kind: z.literal('regression'),
    bias: z.object({ value: z.number(), ...interval }),
    meanAbsoluteError: z.object({ value: z.number(), ...interval }),
    rootMeanSquaredError: z.number(),
    rSquared: z.number().nullable(),
  }),
]);

const performanceSchema = z.object({
  labels: z.object({
    predictions: z.number(),
    labelled: z.number(),
    completeness: z.number(),
    duplicate: z.number(),
    conflicting: z.number(),
    delayMs: z.object({ p50: z.number(), p95: z.number() }).nullable(),
  }),
  realised: realisedSchema.nullable(),
  estimated: z
    .object({
      estimate: z
        .object({
          rows: z.number(),
          accuracy: z.number(),
          halfWidth: z.number(),
          precision: z.number().nullable(),
          recall: z.number().nullable(),
          auc: z.number().nullable(),
        })
        .nullable(),
      trust: z.number().nullable(),
      calibratedOn: z.enum(['baseline', 'scores']),
      unseen: z.object({ feature: z.string(), share: z.number() }).nullable(),
    })
    .nullable(),
  baseline: realisedSchema.nullable(),
});

export const monitoringViewSchema = z.object({
  deployment: nameSchema,
  /** The version that sections other than `windows` are about. */
  model: nameSchema,
  version: versionNumberSchema,
  manifest: digestSchema,
  from: timestampSchema,
  to: timestampSchema,
  resolutionMs: z.int(),
  /** Stored windows that could not be counted with the others: another build's, or damaged. */
  skipped: z.int(),
  windows: z.array(
    z.object({
      windowStartMs: timestampSchema,
      windowMs: z.int(),
      arm: armSchema,
      version: versionNumberSchema,
      manifest: digestSchema,
      /** How many agents' parts this adds up. */
      agents: z.int(),
      ...counts,
    }),
  ),
  /** `windows` counts telemetry messages merged: what agents have produced and seen acknowledged. */
  totals: z.object({ windows: z.number(), ...counts }),
  verdict: verdict.nullable(),
  features: list(z.object({ ...featureViewSchema.shape, points: list(point) })).nullable(),
  prediction: z.object({ ...featureViewSchema.shape, points: list(point) }).nullable(),
  /** Images and embeddings that are watched as a whole. */
  tensors: list(z.object({ ...tensorViewSchema.shape, points: list(tensorPoint) })).nullable(),
  operations: operationsSchema.nullable(),
  fairness: list(fairnessSchema).nullable(),
  performance: z
    .object({
      ...performanceSchema.shape,
      points: list(
        z.object({
          startMs: timestampSchema,
          completeness: z.number(),
          realised: estimate
            .nullable()
            .describe('Accuracy; null for regression or without labels.'),
          meanAbsoluteError: z
            .object({ value: z.number(), ...interval })
            .nullable()
            .describe('Of a regression; null otherwise or without labels.'),
          estimated: z.number().nullable().describe('Accuracy by CBPE.'),
        }),
      ),
    })
    .nullable(),
  /** What moved, compared with the span of the same length before: hosts, or what they send? */
  hosts: list(decompositionSchema).nullable(),
});
export type MonitoringView = z.infer<typeof monitoringViewSchema>;
