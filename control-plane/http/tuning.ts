import { z } from 'zod';
import { agentIdSchema, nameSchema, timestampSchema } from '../../protocol/ids.ts';
import { tuningSchema } from '../../protocol/tuning.ts';
import { type TuneDeps, tuneDeployment } from '../registry/tune.ts';
import { listTunings, type TuningRow } from '../store/tunings.ts';
import { type Api, answers, takes } from './api.ts';
import { deploymentSchema, deploymentView } from './deployments.ts';
import { numberedPageQuery, pageSchema } from './paging.ts';

const params = z.object({ deployment: nameSchema });

const requestSchema = z.strictObject({
  agent: z
    .string()
    .min(1)
    .max(128)
    .optional()
    .describe(
      'Name or id of the agent that measures; default: the first that is linked and serves it.',
    ),
  apply: z
    .enum(['unset', 'all', 'none'])
    .default('unset')
    .describe(
      'unset: the recommendation holds where an operator has set nothing; all: it replaces what is set; none: it is kept and changes nothing.',
    ),
});

const storedTuningSchema = z.object({
  id: z.int(),
  deployment: nameSchema,
  agent: agentIdSchema,
  at: timestampSchema,
  tuning: tuningSchema,
});
export type StoredTuning = z.infer<typeof storedTuningSchema>;

const resultSchema = z.object({
  tuning: storedTuningSchema,
  agentName: z.string(),
  deployment: deploymentSchema,
});
export type TuneResult = z.infer<typeof resultSchema>;

export function mountTuning(api: Api, deps: TuneDeps): void {
  api.route(
    'deployment:write',
    {
      method: 'post',
      path: '/api/v1/deployments/{deployment}/tune',
      summary:
        'Have one agent measure how the deployment is best executed; answers within 90 seconds',
      request: { params, body: takes(requestSchema) },
      responses: { 200: answers(resultSchema, 'Measured, kept and applied as asked') },
    },
    async (c) => {
      const name = c.req.valid('param').deployment;
      const { actor } = c.get('caller');
      const tuned = await tuneDeployment(deps, name, c.req.valid('json'), actor);
      await deps.fleet.reconcile(`deployment ${name} was tuned`);
      const { row, agent: agentName, deployment } = tuned;
      const result = { tuning: view(row), agentName, deployment: deploymentView(deployment) };
      return c.json(result, 200);
    },
  );
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments/{deployment}/tunings',
      summary: 'What agents measured of the deployment, newest first',
      request: { params, query: z.object(numberedPageQuery) },
      responses: { 200: answers(pageSchema(storedTuningSchema), 'A page') },
    },
    async (c) => {
      const { cursor = null, limit } = c.req.valid('query');
      const name = c.req.valid('param').deployment;
      const page = await listTunings(deps.store.read, name, cursor, limit);
      return c.json({ items: page.items.map(view), next: page.next }, 200);
    },
  );
}

function view({ id, deployment, agentId: agent, at, tuning }: TuningRow): StoredTuning {
  return { id, deployment, agent, at, tuning };
}
