import { z } from 'zod';
import { digestSchema, nameSchema, timestampSchema } from '../../protocol/ids.ts';
import { record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Notify } from '../notify/desk.ts';
import { PAGE_POLICY } from '../report/style.ts';
import { handleAlert, handlingOf } from '../store/alert-handling.ts';
import { type AlertRow, findAlert, listAlerts } from '../store/alerts.ts';
import type { Reader, Store, Transaction } from '../store/database.ts';
import { listDeliveries } from '../store/deliveries.ts';
import { alertKinds } from '../store/schema.ts';
import { type Api, answers, takes } from './api.ts';
import { deliverySchema } from './channels.ts';
import { evidencePage } from './evidence-page.ts';
import { numberedPageQuery, pageSchema } from './paging.ts';

const MAX_SILENCE_MS = 90 * 86_400_000;
/** Deliveries shown with an alert; the list of deliveries has them all. */
const SHOWN_DELIVERIES = 50;

const alertSchema = z.object({
  id: z.int(),
  deployment: nameSchema,
  manifest: digestSchema,
  kind: z.enum(alertKinds),
  detail: z.record(z.string(), z.unknown()),
  openedAt: timestampSchema,
  resolvedAt: timestampSchema.nullable(),
  acknowledgedAt: timestampSchema.nullable(),
  acknowledgedBy: z.string().nullable(),
  /** No message of this alert leaves before; null or past: not silenced. */
  silencedUntil: timestampSchema.nullable(),
  silenceReason: z.string().nullable(),
});
export type AlertView = z.infer<typeof alertSchema>;

const shownAlertSchema = alertSchema.extend({
  /** A page for people; good for a week, for whoever holds it. */
  link: z.string(),
  deliveries: z.array(deliverySchema),
});
export type ShownAlert = z.infer<typeof shownAlertSchema>;

const params = z.object({ alert: z.coerce.number().int().min(1) });
const silenceSchema = z.strictObject({
  /** Milliseconds from now. */
  forMs: z.int().min(1000).max(MAX_SILENCE_MS),
  reason: z.string().trim().min(1).max(2000),
});

export interface AlertDeps {
  readonly store: Store;
  readonly notify: Notify;
  readonly now: () => number;
}

export function mountAlerts(api: Api, deps: AlertDeps): void {
  mountReading(api, deps);
  mountHandling(api, deps);
  mountPage(api, deps);
}

function mountReading(api: Api, { store, notify }: AlertDeps): void {
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/alerts',
      summary: 'Alerts, newest first',
      request: {
        query: z.object({
          ...numberedPageQuery,
          deployment: nameSchema.optional(),
          open: z.stringbool().optional(),
        }),
      },
      responses: { 200: answers(pageSchema(alertSchema), 'A page') },
    },
    async (c) => {
      const { cursor = null, limit, ...filter } = c.req.valid('query');
      const { items, next } = await listAlerts(store.read, filter, cursor, limit);
      const views = await Promise.all(items.map((row) => viewOf(store.read, row)));
      return c.json({ items: views, next }, 200);
    },
  );
  api.route(
    'deployment:read',
    {
      method: 'get',
      path: '/api/v1/alerts/{alert}',
      summary: 'One alert: its evidence, what people said of it, and to whom it was told',
      request: { params },
      responses: { 200: answers(shownAlertSchema, 'The alert') },
    },
    async (c) => {
      const { alert } = c.req.valid('param');
      const view = await viewOf(store.read, await theAlert(store.read, alert));
      const { items } = await listDeliveries(store.read, { alert }, null, SHOWN_DELIVERIES);
      return c.json({ ...view, link: notify.link(alert), deliveries: items }, 200);
    },
  );
}

function mountHandling(api: Api, { store, now }: AlertDeps): void {
  const change = (id: number, work: (tx: Transaction, row: AlertRow) => Promise<void>) =>
    store.write(async (tx) => {
      await work(tx, await theAlert(tx, id));
      return viewOf(tx, await theAlert(tx, id));
    });
  api.route(
    'alert:write',
    {
      method: 'post',
      path: '/api/v1/alerts/{alert}/acknowledge',
      summary: 'Somebody looks after it; the first one stays on record',
      request: { params },
      responses: { 200: answers(alertSchema, 'The alert') },
    },
    async (c) => {
      const { alert } = c.req.valid('param');
      const { actor } = c.get('caller');
      const at = now();
      const view = await change(alert, async (tx, row) => {
        refuseResolved(row);
        if ((await handlingOf(tx, alert)).acknowledgedAt !== null) return;
        await handleAlert(tx, alert, { acknowledgedAt: at, acknowledgedBy: actor });
        await record(tx, at, actor, 'alert.acknowledged', `deployment:${row.deployment}`, {
          alert,
        });
      });
      return c.json(view, 200);
    },
  );
  api.route(
    'alert:write',
    {
      method: 'post',
      path: '/api/v1/alerts/{alert}/silence',
      summary: 'Send nothing of it for a time; a second call replaces the first',
      request: { params, body: takes(silenceSchema) },
      responses: { 200: answers(alertSchema, 'The alert') },
    },
    async (c) => {
      const { alert } = c.req.valid('param');
      const { forMs, reason } = c.req.valid('json');
      const { actor } = c.get('caller');
      const at = now();
      const silencedUntil = at + forMs;
      const view = await change(alert, async (tx, row) => {
        refuseResolved(row);
        await handleAlert(tx, alert, { silencedUntil, silenceReason: reason });
        const detail = { alert, silencedUntil, reason };
        await record(tx, at, actor, 'alert.silenced', `deployment:${row.deployment}`, detail);
      });
      return c.json(view, 200);
    },
  );
  api.route(
    'alert:write',
    {
      method: 'delete',
      path: '/api/v1/alerts/{alert}/silence',
      summary: 'End its silence; what waited is sent',
      request: { params },
      responses: { 200: answers(alertSchema, 'The alert') },
    },
    async (c) => {
      const { alert } = c.req.valid('param');
      const { actor } = c.get('caller');
      const view = await change(alert, async (tx, row) => {
        await handleAlert(tx, alert, { silencedUntil: null, silenceReason: null });
        await record(tx, now(), actor, 'alert.unsilenced', `deployment:${row.deployment}`, {
          alert,
        });
      });
      return c.json(view, 200);
    },
  );
}

function mountPage(api: Api, { store, notify }: AlertDeps): void {
  api.route(
    'public',
    {
      method: 'get',
      path: '/alerts/{alert}',
      summary: 'The evidence of an alert for people, by a signed link that expires',
      request: {
        params,
        query: z.object({
          expires: z.coerce.number().int().min(0).default(0),
          signature: z.string().max(100).default(''),
        }),
      },
      responses: {
        200: { description: 'A page', content: { 'text/html': { schema: z.string() } } },
      },
    },
    async (c) => {
      const { alert } = c.req.valid('param');
      const { expires, signature } = c.req.valid('query');
      if (!notify.shows(alert, expires, signature)) {
        throw new ControlError(
          'forbidden',
          'this link has expired or was not made here: "driftline alert show" makes a new one',
        );
      }
      const view = await viewOf(store.read, await theAlert(store.read, alert));
      return c.html(evidencePage(view), 200, { 'content-security-policy': PAGE_POLICY });
    },
  );
}

function refuseResolved(row: AlertRow): void {
  if (row.resolvedAt === null) return;
  throw new ControlError('conflict', `alert ${row.id} is resolved: there is nothing to handle`);
}

async function theAlert(db: Reader, id: number): Promise<AlertRow> {
  const row = await findAlert(db, id);
  if (row === null) throw new ControlError('not-found', `there is no alert ${id}`);
  return row;
}

async function viewOf(db: Reader, row: AlertRow): Promise<AlertView> {
  return { ...row, ...(await handlingOf(db, row.id)) };
}
