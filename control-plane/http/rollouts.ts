import { z } from 'zod';
import { nameSchema } from '../../protocol/ids.ts';
import { ControlError } from '../error.ts';
import type { Store } from '../store/database.ts';
import { findRollout } from '../store/rollouts.ts';
import { type Api, answers, takes } from './api.ts';
import { rolloutView } from './rollout-view.ts';
import {
  confirmationsSchema,
  rollbackRequestSchema,
  rollbackResultSchema,
  rolloutRequestSchema,
  rolloutViewSchema,
  type Services,
} from './services.ts';

/** Long polls end before proxies' usual 30 seconds do. */
const MAX_WAIT_MS = 25_000;

const ofDeployment = z.object({ deployment: nameSchema });
const ofRollout = z.object({ rollout: z.string().min(1).max(64) });

export function mountRollouts(api: Api, store: Store, { rollouts, fleet }: Services): void {
  api.route(
    'deployment:write',
    {
      method: 'post',
      path: '/api/v1/deployments/{deployment}/rollouts',
      summary: 'Release a version step by step, gated by its own sketches',
      request: { params: ofDeployment, body: takes(rolloutRequestSchema) },
      responses: { 201: answers(rolloutViewSchema, 'Started') },
    },
    async (c) => {
      const { deployment } = c.req.valid('param');
      const { actor } = c.get('caller');
      return c.json(await rollouts.start(deployment, c.req.valid('json'), actor), 201);
    },
  );
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/rollouts/{rollout}',
      summary: 'A rollout and its state',
      request: { params: ofRollout },
      responses: { 200: answers(rolloutViewSchema, 'The rollout') },
    },
    async (c) => {
      const id = c.req.valid('param').rollout;
      const row = await findRollout(store.read, id);
      if (row === null) throw new ControlError('not-found', `there is no rollout "${id}"`);
      return c.json(rolloutView(row), 200);
    },
  );
  mountSteps(api, rollouts);
  mountRollback(api, rollouts, fleet);
}

function mountSteps(api: Api, rollouts: Services['rollouts']): void {
  for (const step of ['promote', 'pause', 'resume'] as const) {
    api.route(
      'deployment:write',
      {
        method: 'post',
        path: `/api/v1/rollouts/{rollout}/${step}`,
        summary: `${step[0]?.toUpperCase()}${step.slice(1)} a rollout`,
        request: { params: ofRollout },
        responses: { 200: answers(rolloutViewSchema, 'The rollout as it is now') },
      },
      async (c) => {
        const { rollout } = c.req.valid('param');
        return c.json(await rollouts[step](rollout, c.get('caller').actor), 200);
      },
    );
  }
  api.route(
    'deployment:write',
    {
      method: 'post',
      path: '/api/v1/rollouts/{rollout}/abort',
      summary: 'Take the candidate back from every agent that has it',
      request: {
        params: ofRollout,
        body: takes(z.strictObject({ reason: rollbackRequestSchema.shape.reason })),
      },
      responses: { 200: answers(rolloutViewSchema, 'The rollout as it is now') },
    },
    async (c) => {
      const { rollout } = c.req.valid('param');
      const { reason } = c.req.valid('json');
      return c.json(await rollouts.abort(rollout, reason, c.get('caller').actor), 200);
    },
  );
}

function mountRollback(api: Api, rollouts: Services['rollouts'], fleet: Services['fleet']): void {
  api.route(
    'deployment:write',
    {
      method: 'post',
      path: '/api/v1/deployments/{deployment}/rollback',
      summary: 'Go back to an older version on all agents at once',
      request: { params: ofDeployment, body: takes(rollbackRequestSchema) },
      responses: { 200: answers(rollbackResultSchema, 'Connected agents have been told') },
    },
    async (c) => {
      const { deployment } = c.req.valid('param');
      const { actor } = c.get('caller');
      return c.json(await rollouts.rollback(deployment, c.req.valid('json'), actor), 200);
    },
  );
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/deployments/{deployment}/confirmations',
      summary: 'Which agents serve a generation; with waitMs, answers when all connected ones do',
      request: {
        params: ofDeployment,
        query: z.object({
          generation: z.coerce.number().int().min(1),
          waitMs: z.coerce.number().int().min(0).max(MAX_WAIT_MS).default(0),
        }),
      },
      responses: { 200: answers(confirmationsSchema, 'As it is now') },
    },
    async (c) => {
      const { deployment } = c.req.valid('param');
      const { generation, waitMs } = c.req.valid('query');
      return c.json(await fleet.confirmations(deployment, generation, waitMs), 200);
    },
  );
}
