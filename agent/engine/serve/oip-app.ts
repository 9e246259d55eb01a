import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { type Context, type Handler, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import type { EngineHost } from '../host.ts';
import { missingSteps } from '../pipeline/missing-steps.ts';
import type { EngineSnapshot } from '../snapshot.ts';
import { addFeedbackRoute } from './feedback.ts';
import { modelStatistics } from './host-statistics.ts';
import { refuseUnread } from './http-refusal.ts';
import { modelConfig, PIPELINE_PLATFORM } from './model-config.ts';
import { drained, OipError, type OipErrorCode } from './oip-error.ts';
import { addRepositoryRoutes } from './repository.ts';
import {
  armFor,
  deploymentOf,
  type ServedArm,
  type ServedDeployment,
  type ServingState,
} from './routing.ts';

export const SERVER_NAME = 'driftline';
export const EXTENSIONS = [
  'binary_tensor_data',
  'model_configuration',
  'model_repository',
  'parameters',
  'statistics',
];
/** What the protocol's specification calls the platform of an ONNX model. */
const PLATFORM = 'onnx_onnxv1';
/** Of a path or a name in an error message: enough to recognise it. */
const SHOWN_CHARACTERS = 200;

export interface OipServer {
  state(): ServingState;
  /** Ready: a plan has been committed, everything in it is loaded, and requests are taken. */
  ready(): boolean;
  readonly version: string;
  snapshot(): EngineSnapshot;
  /** Null: this engine is alone on its host. */
  readonly host: EngineHost | null;
}

/** Everything of the Open Inference Protocol except inference itself: health, metadata, and errors in its shape. */
export function createOipApp(server: OipServer): Hono {
  const app = new Hono();
  addServerRoutes(app, server);
  addRepositoryRoutes(app, server);
  addModelRoutes(app, server);
  addFeedbackRoute(app, server);
  app.notFound((c) => {
    const path = c.req.path.slice(0, SHOWN_CHARACTERS);
    return answerError(c, 'unknown_path', `no route ${path}; inference is under /v2/models`);
  });
  app.onError((cause, c) => {
    const known =
      cause instanceof OipError ? cause : new OipError('model_failed', 'internal error', { cause });
    return answerError(c, known.code, known.message);
  });
  return app;
}

function addServerRoutes(app: Hono, server: OipServer): void {
  get(app, '/v2', (c) =>
    c.json({ name: SERVER_NAME, version: server.version, extensions: EXTENSIONS }),
  );
  get(app, '/v2/health/live', (c) => c.json({ live: true }));
  get(app, '/v2/health/ready', (c) => {
    const ready = server.ready();
    return c.json({ ready }, ready ? 200 : 503);
  });
}

function addModelRoutes(app: Hono, server: OipServer): void {
  const state = () => server.state();
  get(app, '/v2/models/stats', async (c) =>
    c.json({ model_stats: await modelStatistics(server, null, null) }),
  );
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    get(app, path, (c) => c.json(metadata(state(), c)));
    get(app, `${path}/ready`, (c) => {
      const { deployment, version } = find(state(), c);
      // Whatever it serves has been committed: what is not ready then is the whole host.
      if (!server.ready()) throw drained();
      const missing = missingSteps(state(), armFor(deployment, version, 0));
      if (missing.length === 0) return c.json({ name: deployment.name, ready: true });
      const told = `pipeline "${deployment.name}" calls what is not served here: ${missing.join(', ')}`;
      throw new OipError('not_ready', told);
    });
    get(app, `${path}/config`, (c) => {
      const { deployment, version } = find(state(), c);
      return c.json(modelConfig(deployment, armFor(deployment, version, 0)));
    });
    get(app, `${path}/stats`, async (c) => {
      const { deployment, version } = find(state(), c);
      return c.json({ model_stats: await modelStatistics(server, deployment.name, version) });
    });
    app.all(`${path}/infer`, (c) =>
      // Inference itself never comes here; what does is the wrong verb, or a name that cannot be decoded.
      c.req.method === 'POST'
        ? answerError(c, 'unknown_model', 'the model in the path is not validly percent-encoded')
        : answerError(c, 'wrong_method', `infer takes POST, not ${c.req.method}`, 'POST'),
    );
  }
}

/** A route that answers GET and HEAD, and 405 to everything else. */
function get(app: Hono, path: string, handler: Handler): void {
  app.get(path, handler);
  app.all(path, (c) =>
    answerError(c, 'wrong_method', `this path takes GET, not ${c.req.method}`, 'GET, HEAD'),
  );
}

function answerError(c: Context, code: OipErrorCode, message: string, allow?: string): Response {
  const error = new OipError(code, message);
  const { incoming, outgoing }: Partial<HttpBindings> = c.env ?? {};
  if (code === 'body_too_large' && incoming !== undefined && outgoing !== undefined) {
    refuseUnread(incoming, outgoing, error);
    return RESPONSE_ALREADY_SENT;
  }
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (allow !== undefined) headers.allow = allow;
  return c.body(error.body, error.status as ContentfulStatusCode, headers);
}

function find(
  state: ServingState,
  c: Context,
): { deployment: ServedDeployment; version: string | null } {
  const version = c.req.param('version') ?? null;
  const deployment = deploymentOf(state, c.req.param('model') ?? '');
  armFor(deployment, version, 0);
  return { deployment, version };
}

export function platformOf({ slot }: ServedArm): string {
  return slot.pipeline === null ? PLATFORM : PIPELINE_PLATFORM;
}

function metadata(state: ServingState, c: Context) {
  const { deployment, version } = find(state, c);
  const arm = armFor(deployment, version, 0);
  return {
    name: deployment.name,
    versions: deployment.arms.map((each) => String(each.version)),
    platform: platformOf(arm),
    inputs: arm.asked.inputs,
    outputs: arm.asked.outputs,
  };
}
