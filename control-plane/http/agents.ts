import { z } from 'zod';
import { capabilitiesSchema } from '../../protocol/hello.ts';
import {
  type AgentId,
  agentIdSchema,
  labelsSchema,
  nameSchema,
  OWN_LABEL_PREFIX,
  timestampSchema,
} from '../../protocol/ids.ts';
import { ledgerMessageSchema } from '../../protocol/ledger.ts';
import { downloadProgressSchema } from '../../protocol/progress.ts';
import { jurisdictionSchema } from '../../protocol/residency.ts';
import { fingerprintOf } from '../../protocol/signing.ts';
import { rootFingerprint } from '../../protocol/trust/root.ts';
import { record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import { type AgentRow, findAgent, listAgents } from '../store/agents.ts';
import type { Store } from '../store/database.ts';
import { createJoinToken } from '../store/join-tokens.ts';
import { findVersionsByManifest } from '../store/models.ts';
import type { Trust } from '../trust/trust.ts';
import { type Api, answers, takes } from './api.ts';
import { pageQuery, pageSchema } from './paging.ts';
import type { Agents, Fleet } from './services.ts';

export interface AgentDeps {
  readonly store: Store;
  readonly trust: Trust;
  readonly fleet: Fleet;
  readonly agents: Agents;
  readonly now: () => number;
}

/** Long enough to paste a command on a host, short enough that a leaked one is stale. */
const JOIN_TOKEN_LIFE_MS = 15 * 60_000;
const MAX_JOIN_TOKEN_LIFE_MS = 24 * 3_600_000;

const fingerprintSchema = z
  .string()
  .regex(/^[0-9a-f]{16,64}$/, 'must be the first 16 to 64 hex digits of the fingerprint');

const approvalSchema = z.strictObject({
  fingerprint: fingerprintSchema,
  jurisdiction: jurisdictionSchema
    .optional()
    .describe('Where the host is; absent: as its token says.'),
});

const agentSchema = z.object({
  id: agentIdSchema,
  name: nameSchema,
  labels: labelsSchema.describe('What the host says of itself stands under "self.".'),
  /** `pending`: it has joined and waits for an operator. */
  state: z.enum(['pending', 'active', 'revoked']),
  fingerprint: z.string().describe('SHA-256 of its public key; the host prints the same.'),
  connected: z.boolean(),
  protocol: z.int(),
  serving: z.string().nullable(),
  capabilities: capabilitiesSchema,
  stale: z.boolean().describe('Its desired state has expired: nothing new is installed there.'),
  draining: z.boolean().describe('An operator has taken it out of traffic.'),
  jurisdiction: jurisdictionSchema
    .nullable()
    .describe('Where operators say that it is; null: nobody has said.'),
  observed: z.int(),
  applied: z.int(),
  joinedAt: timestampSchema,
  lastSeenAt: timestampSchema.describe(
    'When its link ended; while it is linked, when it last reported or said hello.',
  ),
  approvedAt: timestampSchema.nullable(),
  revokedAt: timestampSchema.nullable(),
  downloads: z
    .array(
      downloadProgressSchema.extend({
        version: z.string().nullable().describe('As NAME@NUMBER; null when it is not known here.'),
      }),
    )
    .describe('What it downloads now, as it said a second ago at most.'),
  ledger: ledgerMessageSchema
    .omit({ kind: true })
    .nullable()
    .describe('What left the host since it first started, by kind; null until it has said so.'),
});

export type AgentView = z.infer<typeof agentSchema>;

const params = z.object({ agent: agentIdSchema });

/** Labels that an operator gives: never those that only the host itself says. */
const givenLabelsSchema = labelsSchema.refine(
  (labels) => !Object.keys(labels).some((key) => key.startsWith(OWN_LABEL_PREFIX)),
  { message: `labels under "${OWN_LABEL_PREFIX}" are what hosts say of themselves` },
);

export function mountAgents(api: Api, deps: AgentDeps): void {
  mountReads(api, deps);
  mountAdmission(api, deps);
  mountUpkeep(api, deps);
  mountJoinTokens(api, deps);
}

function mountReads(api: Api, deps: AgentDeps): void {
  api.route(
    'fleet:read',
    {
      method: 'get',
      path: '/api/v1/agents',
      summary: 'All agents: active, waiting for approval, and revoked',
      request: {
        query: z.object({
          ...pageQuery,
          name: nameSchema.optional().describe('Only those that are called so.'),
        }),
      },
      responses: { 200: answers(pageSchema(agentSchema), 'A page') },
    },
    async (c) => {
      const { cursor = '', limit, name } = c.req.valid('query');
      const page = await listAgents(deps.store.read, cursor, limit, name);
      const items = await Promise.all(page.items.map((row) => viewOf(deps, row)));
      return c.json({ items, next: page.next }, 200);
    },
  );
  api.route(
    'fleet:read',
    {
      method: 'get',
      path: '/api/v1/agents/{agent}',
      summary: 'One agent',
      request: { params },
      responses: { 200: answers(agentSchema, 'The agent') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const row = await findAgent(deps.store.read, agent);
      if (row === null) throw new ControlError('not-found', `there is no agent "${agent}"`);
      return c.json(await viewOf(deps, row), 200);
    },
  );
}

/** Who is let in, and who is out. */
function mountAdmission(api: Api, deps: AgentDeps): void {
  const { agents } = deps;
  api.route(
    'fleet:enrol',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/approve',
      summary: 'Let in an agent that waits, by the fingerprint that its host prints',
      request: { params, body: takes(approvalSchema) },
      responses: { 200: answers(agentSchema, 'It is let in') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const row = await agents.approve(agent, c.req.valid('json'), c.get('caller').actor);
      return c.json(await viewOf(deps, row), 200);
    },
  );
  api.route(
    'fleet:enrol',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/revoke',
      summary: 'Cut the link of an agent and refuse its key for good',
      request: { params, body: takes(z.strictObject({ reason: z.string().min(1).max(2000) })) },
      responses: { 200: answers(agentSchema, 'It is out') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const row = await agents.revoke(agent, c.req.valid('json').reason, c.get('caller').actor);
      return c.json(await viewOf(deps, row), 200);
    },
  );
}

/** What changes of an agent that stays. */
function mountUpkeep(api: Api, deps: AgentDeps): void {
  const { agents } = deps;
  api.route(
    'fleet:enrol',
    {
      method: 'put',
      path: '/api/v1/agents/{agent}/labels',
      summary: 'Give an agent labels, as a whole; what it says of itself stays',
      request: { params, body: takes(givenLabelsSchema) },
      responses: { 200: answers(agentSchema, 'It has them') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const row = await agents.label(agent, c.req.valid('json'), c.get('caller').actor);
      return c.json(await viewOf(deps, row), 200);
    },
  );
  api.route(
    'fleet:enrol',
    {
      method: 'put',
      path: '/api/v1/agents/{agent}/jurisdiction',
      summary: 'Say where an agent is; deployments that may not be there are taken from it',
      request: {
        params,
        body: takes(z.strictObject({ jurisdiction: jurisdictionSchema.nullable() })),
      },
      responses: { 200: answers(agentSchema, 'It is there') },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      const { jurisdiction } = c.req.valid('json');
      const row = await agents.move(agent, jurisdiction, c.get('caller').actor);
      return c.json(await viewOf(deps, row), 200);
    },
  );
  api.route(
    'fleet:enrol',
    {
      method: 'post',
      path: '/api/v1/agents/{agent}/rotate-key',
      summary: 'Have an agent make a new key; the old one is worth nothing once it is back',
      request: { params },
      responses: {
        202: answers(z.object({ fingerprint: z.string() }), 'The key it will come back with'),
      },
    },
    async (c) => {
      const { agent } = c.req.valid('param');
      return c.json(await agents.rotateKey(agent, c.get('caller').actor), 202);
    },
  );
}

async function viewOf(deps: AgentDeps, row: AgentRow): Promise<AgentView> {
  const { fleet, agents } = deps;
  const active = row.approvedAt === null ? 'pending' : 'active';
  return agentSchema.parse({
    ...row,
    state: row.revokedAt === null ? active : 'revoked',
    fingerprint: await fingerprintOf(row.publicKey),
    connected: fleet.connected().has(row.id) || agents.isHeld(row.id),
    downloads: await downloadsOf(deps, row.id),
    ledger: fleet.ledger(row.id),
    observed: row.observedGeneration,
    applied: row.appliedGeneration,
  });
}

async function downloadsOf({ fleet, store }: AgentDeps, agent: AgentId) {
  const downloads = fleet.downloads(agent);
  if (downloads.length === 0) return [];
  const manifests = downloads.map(({ manifest }) => manifest);
  const versions = await findVersionsByManifest(store.read, manifests);
  const names = new Map(versions.map((each) => [each.manifest, `${each.model}@${each.version}`]));
  return downloads.map((each) => ({ ...each, version: names.get(each.manifest) ?? null }));
}

function mountJoinTokens(api: Api, deps: AgentDeps): void {
  api.route(
    'fleet:enrol',
    {
      method: 'post',
      path: '/api/v1/join-tokens',
      summary: 'A single-use token with which one new agent joins',
      request: {
        body: takes(
          z.strictObject({
            labels: givenLabelsSchema.default({}),
            ttlMs: z.int().min(1000).max(MAX_JOIN_TOKEN_LIFE_MS).default(JOIN_TOKEN_LIFE_MS),
            requireApproval: z
              .boolean()
              .default(false)
              .describe('Whoever joins with it waits until an operator approves its fingerprint.'),
            jurisdiction: jurisdictionSchema
              .nullable()
              .default(null)
              .describe('Where the host that joins with it is.'),
          }),
        ),
      },
      responses: {
        201: answers(z.object({ token: z.string(), expiresAt: timestampSchema }), 'Shown once'),
      },
    },
    async (c) => {
      const { ttlMs, ...granted } = c.req.valid('json');
      const { actor } = c.get('caller');
      const now = deps.now();
      const expiresAt = now + ttlMs;
      const { chain } = deps.trust;
      const fingerprint = await rootFingerprint(chain[chain.length - 1]);
      const token = await deps.store.write(async (tx) => {
        const request = { ...granted, createdBy: actor, expiresAt, fingerprint };
        const { id, text } = await createJoinToken(tx, request, now);
        await record(tx, now, actor, 'join-token.created', `join-token:${id}`, {
          ...granted,
          expiresAt,
        });
        return text;
      });
      return c.json({ token, expiresAt }, 201);
    },
  );
}
