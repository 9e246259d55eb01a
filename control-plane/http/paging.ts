import { z } from 'zod';

/** `?cursor&limit` of every list. */
export const pageQuery = {
  cursor: z.string().min(1).max(256).optional(),
  limit: z.coerce.number().int().min(1).max(500).default(100),
};

/** The same where the cursor is a number: events, alerts, versions. */
export const numberedPageQuery = {
  cursor: z.coerce.number().int().min(0).optional(),
  limit: pageQuery.limit,
};

export function pageSchema<T extends z.ZodType>(item: T) {
  return z.object({
    items: z.array(item),
    /** `cursor` of the next page; null on the last. */
    next: z.string().nullable(),
  });
}
