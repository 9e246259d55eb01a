import { streamSSE } from 'hono/streaming';
import { z } from 'zod';
import { timestampSchema } from '../../protocol/ids.ts';
import { eventsAfter, lastSequence } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Store } from '../store/database.ts';
import { type Api, answers } from './api.ts';
import { pageQuery, pageSchema } from './paging.ts';

/** Each open stream costs a query per commit. */
const MAX_STREAMS = 64;
/** Keeps proxies from closing an idle stream, and notices a client that went away. */
const HEARTBEAT_MS = 15_000;
const BATCH = 100;

const eventSchema = z.object({
  sequence: z.int(),
  at: timestampSchema,
  actor: z.string(),
  action: z.string(),
  subject: z.string(),
  detail: z.record(z.string(), z.unknown()),
});

const after = z.coerce.number().int().min(0);

export function mountAudit(api: Api, store: Store, stopping: AbortSignal): void {
  api.route(
    'audit:read',
    {
      method: 'get',
      path: '/api/v1/audit',
      summary: 'Who did what, oldest first; `next` is the following `after`',
      request: { query: z.object({ after: after.default(0), limit: pageQuery.limit }) },
      responses: { 200: answers(pageSchema(eventSchema), 'A page') },
    },
    async (c) => {
      const { after, limit } = c.req.valid('query');
      const items = await eventsAfter(store.read, after, limit);
      const last = items.length < limit ? undefined : items.at(-1)?.sequence;
      return c.json({ items, next: last === undefined ? null : String(last) }, 200);
    },
  );
  mountStream(api, store, stopping);
}

function mountStream(api: Api, store: Store, stopping: AbortSignal): void {
  let open = 0;
  api.route(
    'audit:read',
    {
      method: 'get',
      path: '/api/v1/events',
      summary: 'The same as it happens (server-sent events); resumes after Last-Event-ID',
      request: { query: z.object({ after: after.optional() }) },
      responses: {
        200: {
          description: 'One event a message',
          content: { 'text/event-stream': { schema: z.string() } },
        },
      },
    },
    async (c) => {
      if (open >= MAX_STREAMS) {
        throw new ControlError('unavailable', `${MAX_STREAMS} event streams are open already`);
      }
      const resumed = after.safeParse(c.req.header('last-event-id') ?? c.req.valid('query').after);
      let sequence = resumed.success ? resumed.data : await lastSequence(store.read);
      open += 1;
      return streamSSE(c, async (stream) => {
        const left = new AbortController();
        stream.onAbort(() => left.abort());
        const over = AbortSignal.any([stopping, left.signal]);
        try {
          while (!over.aborted) {
            const commits = store.commits;
            const events = await eventsAfter(store.read, sequence, BATCH);
            for (const event of events) {
              sequence = event.sequence;
              const data = JSON.stringify(event);
              await stream.writeSSE({ id: String(sequence), event: event.action, data });
            }
            if (events.length === BATCH) continue;
            await store.nextCommit(commits, HEARTBEAT_MS, over);
            if (store.commits === commits) await stream.write(': still here\n\n');
          }
        } finally {
          open -= 1;
        }
      });
    },
  );
}
