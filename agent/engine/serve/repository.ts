import type { Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { type EngineHost, MANAGED } from '../host.ts';
import { OipError } from './oip-error.ts';
import type { ServingState } from './routing.ts';

/** `{"ready": true}` or the parameters of a load: anything near this is something else. */
const MAX_REPOSITORY_BODY_BYTES = 64 * 1024;

/** Parameters of Triton's load that would bring in a model that nobody has signed. */
const UNSIGNED = /^(config$|file:)/;

interface Repository {
  state(): ServingState;
  readonly host: EngineHost | null;
}

/**
 * Triton's model repository extension. Load and unload act on versions that the signed desired state names on this
 * host, and only where the host's operator allows it; a model loaded past the control plane would have no version, no
 * canary and no rollback.
 */
export function addRepositoryRoutes(app: Hono, server: Repository): void {
  const limit = bodyLimit({
    maxSize: MAX_REPOSITORY_BODY_BYTES,
    onError: () => {
      throw new OipError(
        'body_too_large',
        `a repository request has at most ${MAX_REPOSITORY_BODY_BYTES} bytes`,
      );
    },
  });
  for (const repository of ['/v2/repository', '/v2/repository/:repository']) {
    app.post(`${repository}/index`, limit, async (c) => {
      const { ready } = parseIndexRequest(parseObject(await c.req.text()));
      return c.json(repositoryIndex(server.state(), ready));
    });
    for (const action of ['load', 'unload'] as const) {
      app.post(`${repository}/models/:model/${action}`, limit, async (c) => {
        const version = versionParameter(parseObject(await c.req.text()));
        await changeRepository(server.host, action, c.req.param('model') ?? '', version);
        return c.body(null, 200);
      });
      app.all(`${repository}/models/:model/${action}`, wrongMethod);
    }
    app.all(`${repository}/index`, wrongMethod);
  }
}

export interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: 'READY' | 'UNAVAILABLE';
  readonly reason: string;
}

/** Every version this host has been told to serve; `ready`: only those that can answer. */
export function repositoryIndex(state: ServingState, ready: boolean): IndexEntry[] {
  return [...state.deployments.values()].flatMap(({ name, arms, unloaded, closed }) => {
    const served = arms.map((arm) =>
      closed === null
        ? entry(name, arm.version, 'READY', '')
        : entry(name, arm.version, 'UNAVAILABLE', closed.message),
    );
    if (ready) return closed === null ? served : [];
    const gone = unloaded.map((arm) =>
      entry(name, arm.version, 'UNAVAILABLE', 'unloaded by a client'),
    );
    return [...served, ...gone];
  });
}

function entry(
  name: string,
  version: number,
  state: IndexEntry['state'],
  reason: string,
): IndexEntry {
  return { name, version: String(version), state, reason };
}

/** Loads or unloads a version on all engines of this host; null: all versions. Throws `OipError`. */
export async function changeRepository(
  host: EngineHost | null,
  action: 'load' | 'unload',
  deployment: string,
  version: number | null,
): Promise<void> {
  if (host === null) {
    throw new OipError('managed', `cannot ${action} "${deployment.slice(0, 128)}": ${MANAGED}`);
  }
  const answer = await host.ask({ kind: action, deployment, version });
  if (answer.kind === 'refused') throw new OipError(answer.code, answer.message);
}

function parseObject(text: string): object {
  if (text.trim() === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`the body is not JSON: ${(cause as Error).message}`);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad('the body must be a JSON object, such as {"ready": true}');
  }
  return value;
}

function parseIndexRequest(body: object): { ready: boolean } {
  const ready: unknown = Reflect.get(body, 'ready');
  if (ready !== undefined && typeof ready !== 'boolean') throw bad('"ready" must be true or false');
  return { ready: ready ?? false };
}

function versionParameter(body: object): number | null {
  const parameters: unknown = Reflect.get(body, 'parameters') ?? {};
  if (typeof parameters !== 'object' || parameters === null || Array.isArray(parameters)) {
    throw bad('"parameters" must be an object');
  }
  return versionToChange(parameters as Record<string, unknown>);
}

/** `parameters.version` of a load or unload: a version's number, or null for all. Throws 'bad_request', 'managed'. */
export function versionToChange(parameters: Record<string, unknown>): number | null {
  const unsigned = Object.keys(parameters).find((name) => UNSIGNED.test(name));
  if (unsigned !== undefined) {
    throw new OipError('managed', `parameter "${unsigned.slice(0, 128)}" is not taken: ${MANAGED}`);
  }
  const { version } = parameters;
  if (version === undefined || version === null) return null;
  const number = typeof version === 'string' && version !== '' ? Number(version) : version;
  if (typeof number !== 'number' || !Number.isSafeInteger(number) || number < 1) {
    throw bad(`parameter "version" must be the number of a version, such as 2`);
  }
  return number;
}

function wrongMethod(c: Context): Response {
  const error = new OipError('wrong_method', `this path takes POST, not ${c.req.method}`);
  return c.body(error.body, error.status as ContentfulStatusCode, {
    'content-type': 'application/json',
    allow: 'POST',
  });
}

function bad(message: string): OipError {
  return new OipError('bad_request', message);
}
