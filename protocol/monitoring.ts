import { z } from 'zod';
import { detectorSchema } from './detector.ts';
import { evaluatorSchema } from './evaluator.ts';
import { featureNameSchema } from './ids.ts';

/** Evaluators of one deployment: each scores a share of the answers. */
const MAX_EVALUATORS = 16;
/** Detectors of errors that run beside each other. */
const MAX_DETECTORS = 8;

/** How labels are waited for on a host. */
export const labelsConfigSchema = z.strictObject({
  /** Answered rows that a host remembers so that their labels can be joined. Default 1,000,000. */
  keepRows: z.int().min(1000).max(100_000_000).optional(),
  /** A label that comes later than this after its answer finds nothing. Default 60 days. */
  maxAgeMs: z.int().min(60_000).max(31_622_400_000).optional(),
});
export type LabelsConfig = z.infer<typeof labelsConfigSchema>;

/** When a difference between groups counts as one. */
export const fairnessConfigSchema = z.strictObject({
  /** Largest difference of selection rate, TPR or FPR to the reference group. Default 0.1. */
  differenceLimit: z.number().gt(0).lt(1).optional(),
  /** Smallest ratio of selection rates: the four-fifths rule. Default 0.8. */
  ratioLimit: z.number().gt(0).lt(1).optional(),
  /** Which value each attribute is compared with; by default the one that most rows have. */
  reference: z.record(featureNameSchema, z.union([z.string().max(128), z.number()])).optional(),
});
export type FairnessConfig = z.infer<typeof fairnessConfigSchema>;

/** How a deployment is watched. Everything may be left out: `monitoringInForce` has the defaults. */
export const monitoringSchema = z.strictObject({
  /** Days in which all that is watched of this deployment together may raise one false alarm. Default 30. */
  falseAlarmDays: z.number().min(1).max(3650).optional(),
  /** Windows from the first one on that teach what is usual and never alert. Default 20. */
  learningWindows: z.int().min(0).max(100_000).optional(),
  /** `hour-of-week`: what a feature is compared with depends on the hour, once two weeks are known. Default none. */
  seasonal: z.enum(['none', 'hour-of-week']).optional(),
  /** What watches the errors that labels show. Default: the e-detector. */
  detectors: z.array(detectorSchema).max(MAX_DETECTORS).optional(),
  labels: labelsConfigSchema.optional(),
  evaluators: z
    .array(evaluatorSchema)
    .max(MAX_EVALUATORS)
    .refine((list) => new Set(list.map(({ name }) => name)).size === list.length, {
      message: 'an evaluator is named twice',
    })
    .optional(),
  fairness: fairnessConfigSchema.optional(),
  /** Part of the rows whose embeddings and images are looked at. Default 1. */
  tensorSample: z.number().min(0).max(1).optional(),
});
export type Monitoring = z.infer<typeof monitoringSchema>;

/** The same with every default filled in. */
export interface MonitoringInForce {
  readonly falseAlarmDays: number;
  readonly learningWindows: number;
  readonly seasonal: 'none' | 'hour-of-week';
  readonly detectors: readonly z.infer<typeof detectorSchema>[];
  readonly labels: Required<LabelsConfig>;
  readonly evaluators: readonly z.infer<typeof evaluatorSchema>[];
  readonly fairness: Required<FairnessConfig>;
  readonly tensorSample: number;
}

const DAY_MS = 86_400_000;

export function monitoringInForce(monitoring: Monitoring): MonitoringInForce {
  const { labels, fairness } = monitoring;
  return {
    falseAlarmDays: monitoring.falseAlarmDays ?? 30,
    learningWindows: monitoring.learningWindows ?? 20,
    seasonal: monitoring.seasonal ?? 'none',
    detectors: monitoring.detectors ?? [{ kind: 'e-detector' }],
    labels: {
      keepRows: labels?.keepRows ?? 1_000_000,
      maxAgeMs: labels?.maxAgeMs ?? 60 * DAY_MS,
    },
    evaluators: monitoring.evaluators ?? [],
    fairness: {
      differenceLimit: fairness?.differenceLimit ?? 0.1,
      ratioLimit: fairness?.ratioLimit ?? 0.8,
      reference: fairness?.reference ?? {},
    },
    tensorSample: monitoring.tensorSample ?? 1,
  };
}
