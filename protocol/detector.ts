import { z } from 'zod';

/**
 * What watches a stream of errors, with the parameters and defaults that its authors published (named as in river
 * 0.22, `research/monitoring.md` 1.7). The e-detector takes its level from the deployment's false-alarm budget.
 */
export const detectorSchema = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('e-detector'),
    /** Error rate that is no news. Default: the Wilson upper 95 % bound of the baseline's own errors. */
    toleratedRate: z.number().gt(0).lt(1).optional(),
  }),
  /** Bifet and Gavaldà 2007. Defaults: delta 0.002, clock 32, minWindowLength 5, gracePeriod 10. */
  z.strictObject({
    kind: z.literal('adwin'),
    delta: z.number().gt(0).lt(1).optional(),
    clock: z.int().min(1).max(1_000_000).optional(),
    minWindowLength: z.int().min(1).max(1_000_000).optional(),
    gracePeriod: z.int().min(1).max(1_000_000).optional(),
  }),
  /** Gama et al. 2004. Defaults: warmStart 30, warningThreshold 2, driftThreshold 3 standard deviations. */
  z.strictObject({
    kind: z.literal('ddm'),
    warmStart: z.int().min(1).max(1_000_000).optional(),
    warningThreshold: z.number().gt(0).max(100).optional(),
    driftThreshold: z.number().gt(0).max(100).optional(),
  }),
  /** Baena-García et al. 2006. Defaults: warmStart 30 errors, alpha 0.95 (warning), beta 0.9 (drift). */
  z
    .strictObject({
      kind: z.literal('eddm'),
      warmStart: z.int().min(1).max(1_000_000).optional(),
      alpha: z.number().gt(0).lt(1).optional(),
      beta: z.number().gt(0).lt(1).optional(),
    })
    .refine(({ alpha = 0.95, beta = 0.9 }) => beta <= alpha, {
      path: ['beta'],
      error:
        'beta (default 0.9) must not be above alpha (default 0.95): a warning comes before a drift',
    }),
  /** Page 1954. Defaults: minInstances 30, delta 0.005, threshold 50, alpha 0.9999 (forgetting). */
  z.strictObject({
    kind: z.literal('page-hinkley'),
    minInstances: z.int().min(1).max(1_000_000).optional(),
    delta: z.number().min(0).max(1).optional(),
    threshold: z.number().gt(0).max(1e9).optional(),
    alpha: z.number().gt(0).max(1).optional(),
  }),
  /** Raab et al. 2020. Defaults: alpha 0.005, windowSize 100, statSize 30. */
  z
    .strictObject({
      kind: z.literal('kswin'),
      alpha: z.number().gt(0).lt(1).optional(),
      windowSize: z.int().min(4).max(10_000).optional(),
      statSize: z.int().min(2).max(5000).optional(),
      seed: z.int().min(0).max(4_294_967_295).optional(),
    })
    .refine(({ windowSize = 100, statSize = 30 }) => 2 * statSize <= windowSize, {
      path: ['statSize'],
      error: 'statSize (default 30) must be at most half of windowSize (default 100)',
    }),
]);
export type DetectorConfig = z.infer<typeof detectorSchema>;
