import { z } from 'zod';
import { nameSchema } from '../../protocol/ids.ts';
import { record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Store } from '../store/database.ts';
import { roles } from '../store/schema.ts';
import { createToken, revokeToken } from '../store/tokens.ts';
import { type Api, answers, takes } from './api.ts';

const requestSchema = z.strictObject({ name: nameSchema, role: z.enum(roles) });

export function mountTokens(api: Api, store: Store, now: () => number): void {
  api.route(
    'token:write',
    {
      method: 'post',
      path: '/api/v1/tokens',
      summary: 'A bearer token for a person or a program',
      request: { body: takes(requestSchema) },
      responses: {
        201: answers(requestSchema.extend({ id: z.string(), token: z.string() }), 'Shown once'),
      },
    },
    async (c) => {
      const { name, role } = c.req.valid('json');
      const { actor } = c.get('caller');
      const at = now();
      const made = await store.write(async (tx) => {
        const { token, text } = await createToken(tx, name, role, at);
        await record(tx, at, actor, 'token.created', `token:${token.id}`, { name, role });
        return { ...token, token: text };
      });
      return c.json(made, 201);
    },
  );
  api.route(
    'token:write',
    {
      method: 'delete',
      path: '/api/v1/tokens/{token}',
      summary: 'Revoke a token at once',
      request: { params: z.object({ token: z.string().regex(/^tok_[0-9a-f]{16}$/) }) },
      responses: { 204: { description: 'It is worth nothing now' } },
    },
    async (c) => {
      const { token } = c.req.valid('param');
      const { actor } = c.get('caller');
      await store.write(async (tx) => {
        if (!(await revokeToken(tx, token, now()))) {
          throw new ControlError('not-found', `there is no token "${token}" in force`);
        }
        await record(tx, now(), actor, 'token.revoked', `token:${token}`);
      });
      return c.body(null, 204);
    },
  );
}
