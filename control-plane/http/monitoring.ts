import { z } from 'zod';
import { nameSchema } from '../../protocol/ids.ts';
import { monitoringQuerySchema } from '../reading/query.ts';
import { type Api, answers } from './api.ts';
import { monitoringViewSchema } from './monitoring-view.ts';
import { driftViewSchema, type Monitoring } from './services.ts';

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
}
