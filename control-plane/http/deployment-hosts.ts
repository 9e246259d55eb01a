import { z } from 'zod';
import { agentIdSchema, nameSchema } from '../../protocol/ids.ts';
import { reportedLeaseSchema } from '../../protocol/lease.ts';
import { reportedArmSchema } from '../../protocol/report.ts';
import { ControlError } from '../error.ts';
import { goesTo } from '../residency/residency.ts';
import type { Store } from '../store/database.ts';
import { findDeployment, targetOf } from '../store/deployments.ts';
import { hostsWithReports } from '../store/reports.ts';
import { type Api, answers } from './api.ts';
import { pageQuery, pageSchema } from './paging.ts';
import type { Fleet } from './services.ts';

const hostSchema = z.object({
  id: agentIdSchema,
  name: nameSchema,
  connected: z.boolean(),
  serving: z.string().nullable(),
  /** Generation asked of the agent, the one it accepted, and the one all its engines serve. */
  desired: z.int(),
  observed: z.int(),
  applied: z.int(),
  arms: z.array(reportedArmSchema),
  lease: reportedLeaseSchema.nullable().describe('As it last said; null: it has none.'),
});
export type DeploymentHost = z.infer<typeof hostSchema>;

export interface DeploymentHostsDeps {
  readonly store: Store;
  readonly fleet: Fleet;
}

/** Hosts of a deployment one by one, in pages: how many there are of each kind is in the deployment itself. */
export function mountDeploymentHosts(api: Api, { store, fleet }: DeploymentHostsDeps): void {
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments/{deployment}/agents',
      summary: 'What each agent of a deployment runs, as it last said',
      request: { params: z.object({ deployment: nameSchema }), query: z.object(pageQuery) },
      responses: {
        200: answers(
          pageSchema(hostSchema),
          'A page, which may be short or empty before the last: it leaves out agents of others',
        ),
      },
    },
    async (c) => {
      const { deployment: name } = c.req.valid('param');
      const { cursor = '', limit } = c.req.valid('query');
      const row = await findDeployment(store.read, name);
      if (row === null) throw new ControlError('not-found', `there is no deployment "${name}"`);
      const page = await hostsWithReports(store.read, name, cursor, limit);
      const target = targetOf(row);
      const connected = fleet.connected();
      const items = page.items
        .filter(({ host }) => goesTo(target, host))
        .map(({ host, desired, arms, lease }): DeploymentHost => {
          const { id, serving, observedGeneration: observed, appliedGeneration: applied } = host;
          const said = { desired, observed, applied, arms: arms ?? [], lease };
          return { id, name: host.name, connected: connected.has(id), serving, ...said };
        });
      return c.json({ items, next: page.next }, 200);
    },
  );
}
