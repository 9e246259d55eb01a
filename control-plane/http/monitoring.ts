import { z } from 'zod';
import { nameSchema } from '../../protocol/ids.ts';
import { monitoringQuerySchema } from '../reading/query.ts';
import { renderReport } from '../report/render.ts';
import { PAGE_POLICY } from '../report/style.ts';
import { type Api, answers } from './api.ts';
import { monitoringViewSchema } from './monitoring-view.ts';
import { reportViewSchema } from './report-view.ts';
import { driftViewSchema, type Monitoring } from './services.ts';

const reportQuerySchema = monitoringQuerySchema.omit({ include: true }).extend({
  format: z
    .enum(['html', 'json'])
    .optional()
    .describe('Default: what `Accept` asks for; HTML where it takes both.'),
});

const params = z.object({ deployment: nameSchema });

export function mountMonitoring(api: Api, monitoring: Monitoring, now: () => number): void {
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
      summary:
        'What was merged in [from, to), against the baseline: drift, operations, fairness, performance, hosts',
      description:
        'Points are exact merges of windows. By default the last hour. Without labels, groups or a baseline the sections that need them are null.',
      request: { params, query: monitoringQuerySchema },
      responses: { 200: answers(monitoringViewSchema, 'The period') },
    },
    async (c) => {
      const name = c.req.valid('param').deployment;
      return c.json(await monitoring.read(name, c.req.valid('query'), now()), 200);
    },
  );
  mountReport(api, monitoring, now);
}

function mountReport(api: Api, monitoring: Monitoring, now: () => number): void {
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments/{deployment}/report',
      summary: 'The same period as a report for people: one HTML document, or its data',
      request: { params, query: reportQuerySchema },
      responses: {
        200: {
          description: 'The report',
          content: {
            'text/html': { schema: z.string() },
            'application/json': { schema: reportViewSchema },
          },
        },
      },
    },
    async (c) => {
      const { format, ...query } = c.req.valid('query');
      const data = await monitoring.report(c.req.valid('param').deployment, query, now());
      if ((format ?? formatOf(c.req.header('accept'))) === 'json') return c.json(data, 200);
      return c.html(renderReport(data), 200, { 'content-security-policy': PAGE_POLICY });
    },
  );
}

/** HTML for browsers and for who does not say; JSON for who takes that and no HTML. */
function formatOf(accept = '*/*'): 'html' | 'json' {
  return accept.includes('application/json') && !accept.includes('text/html') ? 'json' : 'html';
}
