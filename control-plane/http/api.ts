import { OpenAPIHono, type RouteConfig, type RouteHandler } from '@hono/zod-openapi';
import { bodyLimit } from 'hono/body-limit';
import type { z } from 'zod';
import { describe } from '../../protocol/wire.ts';
import { ControlError } from '../error.ts';
import { type AuthDeps, GRANTS, type HttpEnv, type Permission, requirePermission } from './auth.ts';
import { problemSchema } from './problem.ts';

/** JSON bodies of this API are names, numbers and digests; files go through artifacts. */
export const MAX_JSON_BODY_BYTES = 256 * 1024;

export interface DeclaredRoute {
  readonly method: string;
  /** As in OpenAPI: `/api/v1/models/{model}`. */
  readonly path: string;
  readonly permission: Permission | 'public';
  readonly summary: string;
}

/** The one way to mount a route: who may call it is its first argument, and there is no default. */
export class Api {
  readonly hono: OpenAPIHono<HttpEnv>;
  readonly declared: DeclaredRoute[] = [];
  readonly #auth: AuthDeps;

  constructor(auth: AuthDeps) {
    this.#auth = auth;
    this.hono = new OpenAPIHono<HttpEnv>({
      defaultHook: (result) => {
        if (!result.success) {
          // The validator hands over what it was given; its type does not say so.
          const given = 'data' in result ? result.data : undefined;
          throw new ControlError(
            'invalid',
            `the ${result.target} is wrong: ${describe(result.error, given)}`,
          );
        }
      },
    });
    this.hono.openAPIRegistry.registerComponent('securitySchemes', 'bearer', {
      type: 'http',
      scheme: 'bearer',
    });
  }

  /**
   * Mounts `config` for callers with `permission`, or for everybody when it says 'public'. Checks run
   * in this order: permission, body size, schema; a stranger's body is never parsed.
   */
  route<R extends RouteConfig>(
    permission: Permission | 'public',
    config: R,
    handler: RouteHandler<R, HttpEnv>,
  ): void {
    if (permission !== 'public' && !Object.hasOwn(GRANTS, permission)) {
      throw new Error(`${config.method} ${config.path} declares no permission and is not mounted`);
    }
    const { method, path, summary = '' } = config;
    this.declared.push({ method: method.toUpperCase(), path, permission, summary });
    const place = path.replaceAll(/\/{(.+?)}/g, '/:$1');
    if (permission !== 'public') {
      this.hono.on(method, place, requirePermission(this.#auth, permission));
    }
    if (config.request?.body?.content['application/json'] !== undefined) {
      this.hono.on(method, place, jsonBodyLimit);
    }
    this.hono.openAPIRegistry.registerPath({
      ...config,
      ...(permission === 'public'
        ? {}
        : { security: [{ bearer: [] }], 'x-permission': permission }),
      responses: { ...config.responses, default: PROBLEM },
    });
    this.hono.openapi({ ...config, hide: true }, handler);
  }
}

const jsonBodyLimit = bodyLimit({
  maxSize: MAX_JSON_BODY_BYTES,
  onError: () => {
    throw new ControlError('too-large', `a JSON body has at most ${MAX_JSON_BODY_BYTES} bytes`);
  },
});

const PROBLEM = {
  description: 'Problem details (RFC 9457)',
  content: { 'application/problem+json': { schema: problemSchema } },
};

/** A JSON response of a route. */
export function answers<T extends z.ZodType>(schema: T, description: string) {
  return { description, content: { 'application/json': { schema } } };
}

/** A JSON request body, which a route then must have. */
export function takes<T extends z.ZodType>(schema: T) {
  return { required: true, content: { 'application/json': { schema } } };
}
