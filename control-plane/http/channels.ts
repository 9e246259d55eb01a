import { z } from 'zod';
import { timestampSchema } from '../../protocol/ids.ts';
import { record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import { channelNameSchema, channelSchema } from '../notify/channel.ts';
import type { Notify } from '../notify/desk.ts';
import { findChannel, insertChannel, listChannels, removeChannel } from '../store/channels.ts';
import type { Store } from '../store/database.ts';
import { listDeliveries } from '../store/deliveries.ts';
import { channelKinds, deliveryStates, transitions } from '../store/schema.ts';
import { type Api, answers, takes } from './api.ts';
import { numberedPageQuery, pageSchema } from './paging.ts';

/** Each one is told of every alert. */
const MAX_CHANNELS = 50;

const viewSchema = z.object({
  name: channelNameSchema,
  kind: z.enum(channelKinds),
  /** Without its secrets: of an address its origin only. */
  shown: z.record(z.string(), z.unknown()),
  createdAt: timestampSchema,
});
export type ChannelView = z.infer<typeof viewSchema>;

export const deliverySchema = z.object({
  id: z.int(),
  messageId: z.string(),
  channel: z.string(),
  alert: z.int(),
  transition: z.enum(transitions),
  state: z.enum(deliveryStates),
  attempts: z.int(),
  nextAttemptAt: timestampSchema,
  failure: z.string().nullable(),
  createdAt: timestampSchema,
  finishedAt: timestampSchema.nullable(),
});

const outcomeSchema = z.object({ delivered: z.boolean(), failure: z.string().nullable() });
const params = z.object({ channel: channelNameSchema });

export interface ChannelDeps {
  readonly store: Store;
  readonly notify: Notify;
  readonly now: () => number;
}

export function mountChannels(api: Api, deps: ChannelDeps): void {
  mountReading(api, deps.store);
  mountWriting(api, deps);
  mountTest(api, deps);
}

function mountReading(api: Api, store: Store): void {
  api.route(
    'channel:read',
    {
      method: 'get',
      path: '/api/v1/channels',
      summary: 'Where alerts are told; secrets are never shown',
      responses: { 200: answers(z.object({ items: z.array(viewSchema) }), 'All of them') },
    },
    async (c) => {
      const rows = await listChannels(store.read);
      return c.json({ items: rows.map(({ sealed: _, ...view }) => view) }, 200);
    },
  );
  api.route(
    'channel:read',
    {
      method: 'get',
      path: '/api/v1/deliveries',
      summary: 'What was told, waits or failed, newest first; kept for 90 days',
      request: {
        query: z.object({
          ...numberedPageQuery,
          channel: channelNameSchema.optional(),
          state: z.enum(deliveryStates).optional(),
        }),
      },
      responses: { 200: answers(pageSchema(deliverySchema), 'A page') },
    },
    async (c) => {
      const { cursor = null, limit, ...filter } = c.req.valid('query');
      return c.json(await listDeliveries(store.read, filter, cursor, limit), 200);
    },
  );
}

function mountWriting(api: Api, { store, notify, now }: ChannelDeps): void {
  api.route(
    'channel:write',
    {
      method: 'put',
      path: '/api/v1/channels/{channel}',
      summary: 'Add a channel; alerts from now on are told there',
      request: { params, body: takes(channelSchema) },
      responses: {
        201: answers(
          viewSchema.extend({ secret: z.string().nullable() }),
          'The signing key, where one was made: shown once',
        ),
      },
    },
    async (c) => {
      const { channel } = c.req.valid('param');
      const { actor } = c.get('caller');
      const { row, madeSecret } = notify.prepare(channel, c.req.valid('json'));
      const { sealed: _, ...view } = row;
      await store.write(async (tx) => {
        if ((await listChannels(tx)).length >= MAX_CHANNELS) {
          throw new ControlError(
            'conflict',
            `there are ${MAX_CHANNELS} channels, the most allowed`,
          );
        }
        if (!(await insertChannel(tx, row))) {
          throw new ControlError('conflict', `there is a channel "${channel}": remove it first`);
        }
        const detail = { kind: row.kind, ...row.shown };
        await record(tx, now(), actor, 'channel.created', `channel:${channel}`, detail);
      });
      return c.json({ ...view, secret: madeSecret }, 201);
    },
  );
  api.route(
    'channel:write',
    {
      method: 'delete',
      path: '/api/v1/channels/{channel}',
      summary: 'Remove a channel; what waits for it is withheld',
      request: { params },
      responses: { 204: { description: 'It is gone, and its secrets with it' } },
    },
    async (c) => {
      const { channel } = c.req.valid('param');
      const { actor } = c.get('caller');
      await store.write(async (tx) => {
        if (!(await removeChannel(tx, channel, now()))) throw unknown(channel);
        await record(tx, now(), actor, 'channel.removed', `channel:${channel}`);
      });
      return c.body(null, 204);
    },
  );
}

function mountTest(api: Api, { store, notify, now }: ChannelDeps): void {
  api.route(
    'channel:write',
    {
      method: 'post',
      path: '/api/v1/channels/{channel}/test',
      summary: 'Send one test message now, once',
      request: { params },
      responses: { 200: answers(outcomeSchema, 'Whether the receiver took it') },
    },
    async (c) => {
      const { channel } = c.req.valid('param');
      const { actor } = c.get('caller');
      const row = await findChannel(store.read, channel);
      if (row === null) throw unknown(channel);
      const failure = await notify.test(row);
      const outcome = { delivered: failure === null, failure };
      await store.write((tx) =>
        record(tx, now(), actor, 'channel.tested', `channel:${channel}`, outcome),
      );
      return c.json(outcome, 200);
    },
  );
}

function unknown(channel: string): ControlError {
  return new ControlError('not-found', `there is no channel "${channel}"`);
}
