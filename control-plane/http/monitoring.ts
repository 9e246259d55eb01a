import { z } from 'zod';
import { digestSchema, nameSchema, timestampSchema } from '../../protocol/ids.ts';
import { ControlError } from '../error.ts';
import { listAlerts } from '../store/alerts.ts';
import type { Store } from '../store/database.ts';
import { alertKinds } from '../store/schema.ts';
import { type Api, answers } from './api.ts';
import { numberedPageQuery, pageSchema } from './paging.ts';
import { driftViewSchema, type Monitoring, monitoringViewSchema } from './services.ts';

const HOUR_MS = 3_600_000;
/** At the shortest window a day is 172,800 lines of answer, and enough. */
const MAX_SPAN_MS = 24 * HOUR_MS;

const alertSchema = z.object({
  id: z.int(),
  deployment: nameSchema,
  manifest: digestSchema,
  kind: z.enum(alertKinds),
  detail: z.record(z.string(), z.unknown()),
  openedAt: timestampSchema,
  resolvedAt: timestampSchema.nullable(),
});

export type AlertView = z.infer<typeof alertSchema>;

const params = z.object({ deployment: nameSchema });
const time = z.coerce.number().pipe(timestampSchema).optional();

export function mountMonitoring(
  api: Api,
  store: Store,
  monitoring: Monitoring,
  now: () => number,
): void {
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments/{deployment}/drift',
      summary: 'How far each input and the prediction are from the version’s profile',
      request: { params },
      responses: { 200: answers(driftViewSchema, 'Latest measures') },
    },
    async (c) => c.json(await monitoring.drift(c.req.valid('param').deployment), 200),
  );
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments/{deployment}/monitoring',
      summary: 'Windows that start in [from, to), by default the last hour; at most a day',
      request: { params, query: z.object({ from: time, to: time }) },
      responses: { 200: answers(monitoringViewSchema, 'Windows and totals') },
    },
    async (c) => {
      const { to = now() + 1, from = Math.max(0, to - HOUR_MS) } = c.req.valid('query');
      if (from > to || to - from > MAX_SPAN_MS) {
        throw new ControlError(
          'invalid',
          `from ${from} to ${to} must be a span of 0 to ${MAX_SPAN_MS} ms`,
        );
      }
      return c.json(await monitoring.windows(c.req.valid('param').deployment, from, to), 200);
    },
  );
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/alerts',
      summary: 'Alerts, newest first',
      request: {
        query: z.object({
          ...numberedPageQuery,
          deployment: nameSchema.optional(),
          open: z.stringbool().optional(),
        }),
      },
      responses: { 200: answers(pageSchema(alertSchema), 'A page') },
    },
    async (c) => {
      const { cursor = null, limit, ...filter } = c.req.valid('query');
      return c.json(await listAlerts(store.read, filter, cursor, limit), 200);
    },
  );
}
