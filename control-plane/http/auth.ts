import { timingSafeEqual } from 'node:crypto';
import type { HttpBindings } from '@hono/node-server';
import type { MiddlewareHandler } from 'hono';
import type { AgentId } from '../../protocol/ids.ts';
import type { SigningKey } from '../../protocol/signing.ts';
import type { Actor } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import { readDownloadToken } from '../link/download-token.ts';
import { findAgent, inService } from '../store/agents.ts';
import type { Store } from '../store/database.ts';
import { hashSecret } from '../store/hash.ts';
import { findTokenByHash, type Role } from '../store/tokens.ts';

/** Who asks. An agent's token comes with the link and reads artifacts only. */
export type Caller =
  | { readonly role: Role; readonly actor: Actor }
  | { readonly role: 'agent'; readonly actor: Actor; readonly agent: AgentId };

export interface HttpEnv {
  Bindings: Partial<HttpBindings>;
  Variables: {
    caller: Caller;
    /** Headers that an error response shall carry too. */
    problemHeaders: Readonly<Record<string, string>> | undefined;
  };
}

const PEOPLE = ['admin', 'operator', 'viewer'] as const;
const OPERATORS = ['admin', 'operator'] as const;

/** Every permission there is and who has it. */
export const GRANTS = {
  'artifact:read': [...PEOPLE, 'agent'],
  'artifact:write': OPERATORS,
  'registry:read': PEOPLE,
  'registry:write': OPERATORS,
  'deployment:read': PEOPLE,
  'deployment:write': OPERATORS,
  'fleet:read': PEOPLE,
  'fleet:enrol': ['admin'],
  'host:operate': OPERATORS,
  // A person's prediction and groups are more than a fleet's state.
  'decision:read': OPERATORS,
  'audit:read': PEOPLE,
  'token:write': ['admin'],
  'alert:write': OPERATORS,
  'channel:read': PEOPLE,
  // Who sets a channel decides where evidence goes and what this host connects to.
  'channel:write': ['admin'],
} as const satisfies Record<string, readonly Caller['role'][]>;

export type Permission = keyof typeof GRANTS;

/** Longer than any token of ours, short enough to hash without a thought. */
const MAX_TOKEN_LENGTH = 1024;

export interface AuthDeps {
  readonly store: Store;
  readonly key: SigningKey;
  readonly now: () => number;
}

/** Lets a request pass whose bearer token has `permission`; 401 or 403 otherwise. */
export function requirePermission(
  deps: AuthDeps,
  permission: Permission,
): MiddlewareHandler<HttpEnv> {
  const granted: readonly Caller['role'][] = GRANTS[permission];
  return async (c, next) => {
    const caller = await authenticate(deps, c.req.header('authorization'));
    if (!granted.includes(caller.role)) {
      throw new ControlError(
        'forbidden',
        `the role "${caller.role}" lacks "${permission}", which ${granted.join(', ')} have`,
      );
    }
    c.set('caller', caller);
    await next();
  };
}

async function authenticate(deps: AuthDeps, header: string | undefined): Promise<Caller> {
  const text = /^Bearer +(\S+)$/i.exec(header ?? '')?.[1];
  if (text === undefined) {
    throw new ControlError('unauthenticated', 'send "Authorization: Bearer dlt_..."');
  }
  const caller = text.length > MAX_TOKEN_LENGTH ? null : await lookUp(deps, text);
  if (caller === null) {
    throw new ControlError('unauthenticated', 'the bearer token is unknown, revoked or expired');
  }
  return caller;
}

async function lookUp(deps: AuthDeps, text: string): Promise<Caller | null> {
  if (text.startsWith('dld_')) {
    const agent = await readDownloadToken(deps.key, text, deps.now());
    const row = agent === null ? null : await findAgent(deps.store.read, agent);
    if (agent === null || row === null || !inService(row)) return null;
    return { role: 'agent', actor: `agent:${agent}`, agent };
  }
  const hash = hashSecret(text);
  const token = await findTokenByHash(deps.store.read, hash);
  // The index compares in a time that tells of the hash, not of the token; this needs no such argument.
  if (token === null || !timingSafeEqual(Buffer.from(token.hash), Buffer.from(hash))) return null;
  return { role: token.role, actor: `token:${token.name}` };
}
