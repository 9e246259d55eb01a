import { z } from 'zod';
import { guardSchema } from '../../protocol/guard.ts';
import {
  agentIdSchema,
  digestSchema,
  labelsSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from '../../protocol/ids.ts';
import { leaseSchema } from '../../protocol/lease.ts';
import { MAX_PINNED, MAX_WINDOW_MS, MIN_WINDOW_MS } from '../../protocol/limits.ts';
import { monitoringSchema } from '../../protocol/monitoring.ts';
import { residencySchema } from '../../protocol/residency.ts';
import { type Serving, servingSchema } from '../../protocol/serving.ts';
import { tripSchema } from '../../protocol/trip.ts';
import { ControlError } from '../error.ts';
import { putDeployment } from '../registry/deployments.ts';
import { namesOf } from '../store/agents.ts';
import type { Store } from '../store/database.ts';
import {
  type DeploymentRow,
  findDeployment,
  listDeployments,
  servingOf,
} from '../store/deployments.ts';
import { tripsOf } from '../store/guard-trips.ts';
import { findVersion } from '../store/models.ts';
import { latestRollout } from '../store/rollouts.ts';
import { type Api, answers, takes } from './api.ts';
import { pageQuery, pageSchema } from './paging.ts';
import { rolloutView } from './rollout-view.ts';
import { type Fleet, hostCountsSchema, rolloutViewSchema } from './services.ts';

export interface DeploymentDeps {
  readonly store: Store;
  readonly fleet: Fleet;
  readonly now: () => number;
}

const requestSchema = z.strictObject({
  model: nameSchema,
  version: versionNumberSchema,
  /** Labels an agent must carry; {} for every agent. */
  to: labelsSchema.optional(),
  windowMs: z.int().min(MIN_WINDOW_MS).max(MAX_WINDOW_MS).optional(),
  serving: servingSchema
    .optional()
    .describe(
      'How hosts execute it, as a whole; absent keeps what is set, {} leaves all to tunings and hosts.',
    ),
  tuned: z.strictObject({}).optional().describe('{} forgets what the latest tuning recommends.'),
  monitoring: monitoringSchema
    .optional()
    .describe(
      'How it is watched, as a whole; absent keeps what is set, {} goes back to the defaults.',
    ),
  guard: guardSchema
    .optional()
    .describe(
      'When hosts take a version back by themselves, as a whole; absent keeps what is set, {} takes it away.',
    ),
  lease: leaseSchema
    .nullable()
    .optional()
    .describe(
      'How long hosts may serve it without hearing from the control plane; absent keeps what is set, null is for ever.',
    ),
  residency: residencySchema
    .optional()
    .describe(
      'Where it may be, as a whole; absent keeps what is set, {} lets it go anywhere. Hosts outside are told to stop.',
    ),
  pinned: z
    .array(versionNumberSchema)
    .max(MAX_PINNED)
    .optional()
    .describe(
      'Versions that stay loaded for requests to /v2/models/{deployment}/versions/{version}; absent keeps them.',
    ),
});

export const deploymentSchema = z.object({
  name: nameSchema,
  model: nameSchema,
  version: versionNumberSchema,
  previousVersion: versionNumberSchema.nullable(),
  to: labelsSchema,
  windowMs: z.int(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
  serving: servingSchema.describe('What an operator has set.'),
  tuned: servingSchema.describe('What the latest tuning recommends.'),
  inForce: servingSchema.describe(
    '`serving`, and `tuned` where that is silent: what hosts are told.',
  ),
  pinned: z.array(versionNumberSchema),
  monitoring: monitoringSchema.describe('How it is watched; what is not there has its default.'),
  guard: guardSchema.describe('When hosts take a version back by themselves; {}: never.'),
  lease: leaseSchema
    .nullable()
    .describe(
      'How long hosts may serve it without hearing from the control plane; null: for ever.',
    ),
  residency: residencySchema.describe('Where it may be; no jurisdictions: anywhere.'),
});

const statusSchema = deploymentSchema.extend({
  manifest: digestSchema,
  /** The latest rollout, in progress or ended. */
  rollout: rolloutViewSchema.nullable(),
  hosts: hostCountsSchema.describe('How many agents do what; /agents beside it lists each.'),
  trips: z
    .array(
      tripSchema
        .extend({ agent: agentIdSchema, agentName: nameSchema, receivedAt: timestampSchema })
        .describe('Evidence.'),
    )
    .describe('What guards of its agents took back, latest first.'),
});

/** Trips that a status shows. A fleet that has more has one trouble many times, and the record has them all. */
const SHOWN_TRIPS = 50;

export type Deployment = z.infer<typeof deploymentSchema>;
export type DeploymentStatus = z.infer<typeof statusSchema>;

const params = z.object({ deployment: nameSchema });

export function mountDeployments(api: Api, deps: DeploymentDeps): void {
  api.route(
    'deployment:write',
    {
      method: 'put',
      path: '/api/v1/deployments/{deployment}',
      summary: 'Create a deployment, or change it on all its agents at once',
      request: { params, body: takes(requestSchema) },
      responses: {
        200: answers(deploymentSchema, 'Changed'),
        201: answers(deploymentSchema, 'Created'),
      },
    },
    async (c) => {
      const name = c.req.valid('param').deployment;
      const { actor } = c.get('caller');
      const request = c.req.valid('json');
      const { row, created } = await putDeployment(deps.store, name, request, actor, deps.now());
      await deps.fleet.reconcile(`deployment ${name} was ${created ? 'created' : 'changed'}`);
      return c.json(deploymentView(row), created ? 201 : 200);
    },
  );
  mountReads(api, deps);
}

function mountReads(api: Api, deps: DeploymentDeps): void {
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments',
      summary: 'All deployments, by name',
      request: { query: z.object(pageQuery) },
      responses: { 200: answers(pageSchema(deploymentSchema), 'A page') },
    },
    async (c) => {
      const { cursor = '', limit } = c.req.valid('query');
      const { items, next } = await listDeployments(deps.store.read, cursor, limit);
      return c.json({ items: items.map(deploymentView), next }, 200);
    },
  );
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments/{deployment}',
      summary: 'A deployment, its rollout, and how many of its agents do what',
      request: { params },
      responses: { 200: answers(statusSchema, 'The deployment') },
    },
    async (c) => {
      const name = c.req.valid('param').deployment;
      const row = await findDeployment(deps.store.read, name);
      if (row === null) throw new ControlError('not-found', `there is no deployment "${name}"`);
      return c.json(await status(deps, row), 200);
    },
  );
}

export function deploymentView({
  selector,
  ...rest
}: DeploymentRow): z.infer<typeof deploymentSchema> {
  const inForce: Serving = servingOf(rest);
  return { ...rest, to: selector, inForce };
}

async function status(
  { store, fleet }: DeploymentDeps,
  row: DeploymentRow,
): Promise<z.infer<typeof statusSchema>> {
  const version = await findVersion(store.read, row.model, row.version);
  if (version === null) throw new Error(`deployment ${row.name} points at no version`);
  const rollout = await latestRollout(store.read, row.name);
  const stored = await tripsOf(store.read, row.name, SHOWN_TRIPS);
  const names = await namesOf(
    store.read,
    stored.map(({ agentId }) => agentId),
  );
  const trips = stored.map(({ trip, agentId: agent, receivedAt }) => {
    return { ...trip, agent, agentName: names.get(agent) ?? agent, receivedAt };
  });
  return {
    ...deploymentView(row),
    manifest: version.manifest,
    rollout: rollout === null ? null : rolloutView(rollout),
    hosts: fleet.counts(row, version.manifest),
    trips,
  };
}
