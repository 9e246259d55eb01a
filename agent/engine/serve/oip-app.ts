import { type Context, Hono } from 'hono';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { OipError } from './oip-error.ts';
import { armFor, deploymentOf, type ServedDeployment, type ServingState } from './routing.ts';

export const SERVER_NAME = 'driftline';
const EXTENSIONS = ['parameters'];
/** What the protocol's specification calls the platform of an ONNX model. */
const PLATFORM = 'onnx_onnxv1';

export interface OipServer {
  state(): ServingState;
  /** Ready: a plan has been committed and everything in it is loaded. */
  ready(): boolean;
  readonly version: string;
}

/** Everything of the Open Inference Protocol except inference itself: health, metadata, and errors in its shape. */
export function createOipApp(server: OipServer): Hono {
  const app = new Hono();
  app.get('/v2', (c) =>
    c.json({ name: SERVER_NAME, version: server.version, extensions: EXTENSIONS }),
  );
  app.get('/v2/health/live', (c) => c.json({ live: true }));
  app.get('/v2/health/ready', (c) => {
    const ready = server.ready();
    return c.json({ ready }, ready ? 200 : 503);
  });
  for (const path of ['/v2/models/:model', '/v2/models/:model/versions/:version']) {
    app.get(path, (c) => c.json(metadata(server.state(), c)));
    app.get(`${path}/ready`, (c) => {
      const { deployment } = find(server.state(), c);
      return c.json({ name: deployment.name, ready: true });
    });
    app.all(`${path}/infer`, (c) => c.json(error('wrong_method', 'infer takes POST'), 405, { allow: 'POST' }));
  }
  app.all('/v2/*', (c) => {
    const message = `no route ${c.req.method} ${c.req.path.slice(0, 200)}`;
    return c.json(error('unknown_path', message), 404);
  });
  app.notFound((c) => c.json(error('unknown_path', `no route ${c.req.path.slice(0, 200)}; inference is under /v2`), 404));
  app.onError((cause, c) => {
    const known =
      cause instanceof OipError ? cause : new OipError('model_failed', 'internal error', { cause });
    return c.body(known.body, known.status as ContentfulStatusCode, {
      'content-type': 'application/json',
    });
  });
  return app;
}

function error(code: string, message: string): { error: string; code: string } {
  return { error: message, code };
}

function find(state: ServingState, c: Context): { deployment: ServedDeployment; version: string | null } {
  const version = c.req.param('version') ?? null;
  const deployment = deploymentOf(state, c.req.param('model') ?? '');
  armFor(deployment, version, 0);
  return { deployment, version };
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
