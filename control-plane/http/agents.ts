import { z } from 'zod';
import { capabilitiesSchema } from '../../protocol/hello.ts';
import { agentIdSchema, labelsSchema, nameSchema, timestampSchema } from '../../protocol/ids.ts';
import { ledgerMessageSchema } from '../../protocol/ledger.ts';
import { fingerprintOf, type SigningKey } from '../../protocol/signing.ts';
import { record } from '../audit/record.ts';
import { listAgents } from '../store/agents.ts';
import type { Store } from '../store/database.ts';
import { createJoinToken } from '../store/join-tokens.ts';
import { type Api, answers, takes } from './api.ts';
import { pageQuery, pageSchema } from './paging.ts';
import type { Fleet } from './services.ts';

export interface AgentDeps {
  readonly store: Store;
  readonly key: SigningKey;
  readonly fleet: Fleet;
  readonly now: () => number;
}

/** Long enough to paste a command on a host, short enough that a leaked one is stale. */
const JOIN_TOKEN_LIFE_MS = 15 * 60_000;
const MAX_JOIN_TOKEN_LIFE_MS = 24 * 3_600_000;

const agentSchema = z.object({
  id: agentIdSchema,
  name: nameSchema,
  labels: labelsSchema,
  connected: z.boolean(),
  serving: z.string().nullable(),
  capabilities: capabilitiesSchema,
  observed: z.int(),
  applied: z.int(),
  joinedAt: timestampSchema,
  lastSeenAt: timestampSchema,
  ledger: ledgerMessageSchema
    .omit({ kind: true })
    .nullable()
    .describe('What left the host since it first started, by kind; null until it has said so.'),
});

export type AgentView = z.infer<typeof agentSchema>;

export function mountAgents(api: Api, deps: AgentDeps): void {
  api.route(
    'fleet:read',
    {
      method: 'get',
      path: '/api/v1/agents',
      summary: 'All agents',
      request: { query: z.object(pageQuery) },
      responses: { 200: answers(pageSchema(agentSchema), 'A page') },
    },
    async (c) => {
      const { cursor = '', limit } = c.req.valid('query');
      const page = await listAgents(deps.store.read, cursor, limit);
      const connected = deps.fleet.connected();
      const items = page.items.map((row) => ({
        ...row,
        connected: connected.has(row.id),
        ledger: deps.fleet.ledger(row.id),
        observed: row.observedGeneration,
        applied: row.appliedGeneration,
      }));
      return c.json({ items: items.map((item) => agentSchema.parse(item)), next: page.next }, 200);
    },
  );
  api.route(
    'fleet:enrol',
    {
      method: 'post',
      path: '/api/v1/join-tokens',
      summary: 'A single-use token with which one new agent joins',
      request: {
        body: takes(
          z.strictObject({
            labels: labelsSchema.default({}),
            ttlMs: z.int().min(1000).max(MAX_JOIN_TOKEN_LIFE_MS).default(JOIN_TOKEN_LIFE_MS),
          }),
        ),
      },
      responses: {
        201: answers(z.object({ token: z.string(), expiresAt: timestampSchema }), 'Shown once'),
      },
    },
    async (c) => {
      const { labels, ttlMs } = c.req.valid('json');
      const { actor } = c.get('caller');
      const now = deps.now();
      const expiresAt = now + ttlMs;
      const fingerprint = await fingerprintOf(deps.key.publicKey);
      const token = await deps.store.write(async (tx) => {
        const request = { labels, createdBy: actor, expiresAt, fingerprint };
        const { id, text } = await createJoinToken(tx, request, now);
        await record(tx, now, actor, 'join-token.created', `join-token:${id}`, {
          labels,
          expiresAt,
        });
        return text;
      });
      return c.json({ token, expiresAt }, 201);
    },
  );
}
