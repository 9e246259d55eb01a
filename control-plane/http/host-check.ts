import { isIP } from 'node:net';
import type { MiddlewareHandler } from 'hono';
import { ControlError } from '../error.ts';
import type { HttpEnv } from './auth.ts';

/**
 * Is this a `Host` that a genuine client sends? DNS rebinding makes a browser send a stranger's domain
 * name to our address: so names must be known, while an IP address can't have been rebound.
 */
export function isAllowedHost(host: string | undefined, names: ReadonlySet<string>): boolean {
  if (host === undefined) return false;
  const name = host
    .replace(/:\d*$/, '')
    .replace(/^\[(.*)\]$/, '$1')
    .toLowerCase();
  return name === 'localhost' || isIP(name) !== 0 || names.has(name);
}

export function hostCheck(names: ReadonlySet<string>): MiddlewareHandler<HttpEnv> {
  return async (c, next) => {
    const host = c.req.header('host') ?? new URL(c.req.url).host;
    if (!isAllowedHost(host, names)) {
      throw new ControlError(
        'misdirected',
        `host "${host}" is not served here; start the control plane with --allow-host to add it`,
      );
    }
    await next();
  };
}
