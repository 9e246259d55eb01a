import { z } from 'zod';

/** Answers that a guard looks back at unless told otherwise. */
export const DEFAULT_LAST_ANSWERS = 100;

/**
 * When a host takes an arm of a deployment back by itself, online or not. Shares are of the last `lastAnswers` answers of
 * that arm in one engine process: a limit is passed as soon as so many of them are bad that no further good answer could
 * undo it, and never for want of answers.
 */
export const guardSchema = z
  .strictObject({
    /** How many answers are looked back at. Default 100. */
    lastAnswers: z.int().min(10).max(10_000).optional(),
    /** Of those, at most so many may hold NaN or infinite outputs that did not come of such inputs. 0: none. */
    maxNonFinite: z.int().min(0).max(9_999).optional(),
    /** Of those, at most this share may be failures of the model. */
    maxErrorShare: z.number().min(0).lt(1).optional(),
    /** Of those, at most this share may take longer than the budget, from the request read to the answer written. */
    latency: z
      .strictObject({
        budgetUs: z.int().min(1).max(3_600_000_000),
        maxShare: z.number().min(0).lt(1),
      })
      .optional(),
    /** Debiased PSI of the predictions of the running window against the version's profile, in nats. */
    drift: z
      .strictObject({
        maxPsi: z.number().gt(0).max(20),
        /** Rows before anything is said. The window then holds between one and two times as many. */
        minRows: z.int().min(100).max(1_000_000),
      })
      .optional(),
    /** What answers where nothing is there to go back to. Default: the version goes on, and the host says so. */
    withoutLastGood: z.enum(['serve', 'refuse']).optional(),
  })
  .refine(
    ({ maxNonFinite = 0, lastAnswers = DEFAULT_LAST_ANSWERS }) => maxNonFinite < lastAnswers,
    { message: 'maxNonFinite must be less than lastAnswers, or nothing ever passes it' },
  );
export type Guard = z.infer<typeof guardSchema>;

/** Whether there is anything that it guards against. */
export function isGuarded(guard: Guard | undefined): guard is Guard {
  if (guard === undefined) return false;
  const { maxNonFinite, maxErrorShare, latency, drift } = guard;
  return [maxNonFinite, maxErrorShare, latency, drift].some((each) => each !== undefined);
}
