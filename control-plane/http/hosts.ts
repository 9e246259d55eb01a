import { z } from 'zod';
import { logLevelSchema } from '../../protocol/command.ts';
import { decisionIdSchema, decisionRecordSchema, rowIndexSchema } from '../../protocol/decision.ts';
import { diagnosticsSchema } from '../../protocol/diagnostics.ts';
import { agentIdSchema, nameSchema, timestampSchema } from '../../protocol/ids.ts';
import { MAX_LOG_LEVEL_MS, MIN_LOG_LEVEL_MS } from '../../protocol/limits.ts';
import { type Api, answers, takes } from './api.ts';
import type { Hosts } from './services.ts';

const params = z.object({ agent: agentIdSchema });

const drainedSchema = z.object({
  draining: z.boolean(),
  inFlight: z.int().describe('Requests that it had not answered after 15 seconds.'),
});
const restartedSchema = z.object({ restarted: z.int().describe('Engine processes.') });
const logLevelRequestSchema = z.strictObject({
  level: logLevelSchema,
  forMs: z.int().min(MIN_LOG_LEVEL_MS).max(MAX_LOG_LEVEL_MS),
});
const logLevelSetSchema = z.object({
  level: logLevelSchema,
  until: timestampSchema.describe("On the host's clock."),
});
const decisionSchema = z.object({ agent: agentIdSchema, record: decisionRecordSchema });

export type Drained = z.infer<typeof drainedSchema>;
export type Restarted = z.infer<typeof restartedSchema>;
export type LogLevelSet = z.infer<typeof logLevelSetSchema>;
export type DecisionView = z.infer<typeof decisionSchema>;

/** What a linked host is asked to do now. Each answers when the host has. */
export function mountHosts(api: Api, hosts: Hosts): void {
  mountTraffic(api, hosts);
  mountInsight(api, hosts);
  api.route(
    'decision:read',
    {
      method: 'get',
      path: '/api/v1/decisions/{decision}',
      summary: 'What the host that decided remembers of one row; 451 where it may not',
      request: {
        params: z.object({ decision: decisionIdSchema }),
        query: z.object({
          deployment: nameSchema.describe('Which deployment answered: its policy decides.'),
          row: z.coerce.number().pipe(rowIndexSchema).default(0),
        }),
      },
      responses: { 200: answers(decisionSchema, 'As it is remembered: never the inputs') },
    },
    async (c) => {
      const { decision: id } = c.req.valid('param');
      const { deployment, row } = c.req.valid('query');
      return c.json(await hosts.decision({ deployment, id, row }, c.get('caller').actor), 200);
    },
  );
}

/** What changes who answers. */
function mountTraffic(api: Api, hosts: Hosts): void {
  api.route(
    'host:operate',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/drain',
      summary:
        'Take a host out of traffic: it answers what is in flight and refuses the rest, until it is undrained or restarts',
      request: { params },
      responses: { 200: answers(drainedSchema, 'It refuses new requests') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const { inFlight } = await hosts.ask(agent, { name: 'drain' }, c.get('caller').actor);
      return c.json({ draining: true, inFlight }, 200);
    },
  );
  api.route(
    'host:operate',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/undrain',
      summary: 'Bring a drained host back into traffic',
      request: { params },
      responses: { 200: answers(drainedSchema, 'It takes requests') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      await hosts.ask(agent, { name: 'undrain' }, c.get('caller').actor);
      return c.json({ draining: false, inFlight: 0 }, 200);
    },
  );
  api.route(
    'host:operate',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/restart-engines',
      summary:
        'Replace the engine processes of a host one after another; answers within 110 seconds',
      request: { params },
      responses: { 200: answers(restartedSchema, 'Each has a successor') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const command = { name: 'restart-engines' } as const;
      const { restarted } = await hosts.ask(agent, command, c.get('caller').actor);
      return c.json({ restarted }, 200);
    },
  );
}

/** What shows how a host is. */
function mountInsight(api: Api, hosts: Hosts): void {
  api.route(
    'host:operate',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/diagnostics',
      summary: 'How a host is: settings, engines, memory, outbox, egress, newest log lines',
      request: { params },
      responses: { 200: answers(diagnosticsSchema, 'Without secrets and without rows') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const { diagnostics } = await hosts.ask(
        agent,
        { name: 'diagnostics' },
        c.get('caller').actor,
      );
      return c.json(diagnostics, 200);
    },
  );
  api.route(
    'host:operate',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/log-level',
      summary: 'Set how much a host logs, for a second to a day',
      request: { params, body: takes(logLevelRequestSchema) },
      responses: { 200: answers(logLevelSetSchema, 'Set; then it logs as it was started to') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const command = { name: 'log-level' as const, ...c.req.valid('json') };
      const { level, until } = await hosts.ask(agent, command, c.get('caller').actor);
      return c.json({ level, until }, 200);
    },
  );
}
