import { z } from 'zod';
import { ControlError } from '../error.ts';
import type { Store } from '../store/database.ts';
import { type Api, answers } from './api.ts';

const statusSchema = z.object({ status: z.literal('ok') });

export function mountHealth(api: Api, store: Store): void {
  api.route(
    'public',
    {
      method: 'get',
      path: '/healthz',
      summary: 'Is the process alive?',
      responses: { 200: answers(statusSchema, 'It is') },
    },
    (c) => c.json({ status: 'ok' as const }, 200),
  );
  api.route(
    'public',
    {
      method: 'get',
      path: '/readyz',
      summary: 'Does the database answer?',
      responses: { 200: answers(statusSchema, 'It does') },
    },
    async (c) => {
      try {
        await store.read.run('select 1');
      } catch (cause) {
        throw new ControlError('unavailable', 'the database does not answer', { cause });
      }
      return c.json({ status: 'ok' as const }, 200);
    },
  );
}
