import { type Context, type Handler, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { modelConfig } from './model-config.ts';
import { statisticsEntry } from './model-statistics.ts';
import { OipError, type OipErrorCode } from './oip-error.ts';
import { addRepositoryRoutes } from './repository.ts';
import { armFor, deploymentOf, type ServedDeployment, type ServingState } from './routing.ts';

export const SERVER_NAME = 'driftline';
const EXTENSIONS = [
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
  /** Ready: a plan has been committed and everything in it is loaded. */
  ready(): boolean;
  readonly version: string;
}

/** Everything of the Open Inference Protocol except inference itself: health, metadata, and errors in its shape. */
export function createOipApp(server: OipServer): Hono {
  const app = new Hono();
  addServerRoutes(app, server);
  addRepositoryRoutes(app, () => server.state());
  addModelRoutes(app, () => server.state());
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

function addModelRoutes(app: Hono, state: () => ServingState): void {
  get(app, '/v2/models/stats', (c) => {
    const all = [...state().deployments.values()].flatMap((deployment) => entries(deployment));
    return c.json({ model_stats: all });
  });
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    get(app, path, (c) => c.json(metadata(state(), c)));
    get(app, `${path}/ready`, (c) => {
      const { deployment } = find(state(), c);
      return c.json({ name: deployment.name, ready: true });
    });
    get(app, `${path}/config`, (c) => {
      const { deployment, version } = find(state(), c);
      return c.json(modelConfig(deployment, armFor(deployment, version, 0)));
    });
    get(app, `${path}/stats`, (c) => {
      const { deployment, version } = find(state(), c);
      return c.json({ model_stats: entries(deployment, version) });
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
  const headers: Record<string, string> = { 'content-type': 'application/json' };
  if (allow !== undefined) headers.allow = allow;
  // The rest of the body is not read: the connection can't carry another request.
  if (code === 'body_too_large') headers.connection = 'close';
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

function entries(deployment: ServedDeployment, version: string | null = null) {
  return deployment.arms
    .filter((arm) => version === null || String(arm.version) === version)
    .map((arm) => statisticsEntry(deployment.name, arm.version, arm.slot));
}

function metadata(state: ServingState, c: Context) {
  const { deployment, version } = find(state, c);
  const arm = armFor(deployment, version, 0);
  return {
    name: deployment.name,
    versions: deployment.arms.map((each) => String(each.version)),
    platform: PLATFORM,
    inputs: arm.slot.manifest.inputs,
    outputs: arm.slot.manifest.outputs,
  };
}
