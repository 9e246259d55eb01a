import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { OipError } from './oip-error.ts';
import type { ServingState } from './routing.ts';

/** An index request is `{"ready": true}`; anything near this is something else. */
const MAX_INDEX_BODY_BYTES = 64 * 1024;

/**
 * Triton's model repository extension. The index lists what is served; load and unload are refused, because an agent
 * serves what its control plane has signed: a model loaded past it would have no version, no canary and no rollback.
 */
export function addRepositoryRoutes(app: Hono, state: () => ServingState): void {
  const limit = bodyLimit({
    maxSize: MAX_INDEX_BODY_BYTES,
    onError: () => {
      throw new OipError(
        'body_too_large',
        `an index request has at most ${MAX_INDEX_BODY_BYTES} bytes`,
      );
    },
  });
  for (const repository of ['/v2/repository', '/v2/repository/:repository']) {
    app.post(`${repository}/index`, limit, async (c) => {
      checkIndexRequest(await c.req.text());
      return c.json(index(state()));
    });
    for (const action of ['load', 'unload']) {
      app.post(`${repository}/models/:model/${action}`, (c) => refuseChange(c, action));
      app.all(`${repository}/models/:model/${action}`, wrongMethod);
    }
    app.all(`${repository}/index`, wrongMethod);
  }
}

function index(state: ServingState) {
  return [...state.deployments.values()].flatMap((deployment) =>
    deployment.arms.map((arm) => ({
      name: deployment.name,
      version: String(arm.version),
      // A version is in the serving state only once it is admitted, so `ready` in the request filters nothing out.
      state: 'READY',
      reason: '',
    })),
  );
}

function checkIndexRequest(text: string): void {
  if (text.trim() === '') return;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`the body is not JSON: ${(cause as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad('the body must be a JSON object, such as {"ready": true}');
  }
  const ready: unknown = Reflect.get(value, 'ready');
  if (ready !== undefined && typeof ready !== 'boolean') throw bad('"ready" must be true or false');
}

function refuseChange(c: Context, action: string): never {
  const model = (c.req.param('model') ?? '').slice(0, 128);
  throw new OipError(
    'managed',
    `cannot ${action} "${model}" here: the control plane decides which versions run on this agent, so that each is signed, watched and can be rolled back; use "driftline deploy" or "driftline rollout"`,
  );
}

function wrongMethod(c: Context): Response {
  const error = new OipError('wrong_method', `this path takes POST, not ${c.req.method}`);
  return c.body(error.body, 405, { 'content-type': 'application/json', allow: 'POST' });
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
