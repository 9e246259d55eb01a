import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { z } from 'zod';
import type { Command, CommandId, CommandOutcome, CommandValue } from '../../protocol/command.ts';
import type { DecisionRecord } from '../../protocol/decision.ts';
import {
  type AgentId,
  agentIdSchema,
  type Digest,
  digestSchema,
  type Labels,
  labelsSchema,
  nameSchema,
  timestampSchema,
  versionNumberSchema,
} from '../../protocol/ids.ts';
import type { LedgerMessage } from '../../protocol/ledger.ts';
import type { DownloadProgress } from '../../protocol/progress.ts';
import type { Jurisdiction } from '../../protocol/residency.ts';
import type { Actor } from '../audit/record.ts';
import type { MonitoringQuery } from '../reading/query.ts';
import type { ReportData } from '../report/report-data.ts';
import type { AgentRow } from '../store/agents.ts';
import type { DeploymentRow } from '../store/deployments.ts';
import type { MonitoringView } from './monitoring-view.ts';

/** What the HTTP API asks of the modules behind it. They are implemented beside `link/hub.ts`. */

const DAY_MS = 86_400_000;

/** Hosts that a deployment names as refusing its version. A fleet that refuses it refuses it for one reason. */
export const MAX_REFUSED = 20;

/** Which agents get the candidate: so many of them, chosen by stable hash, or those with these labels. */
export const canarySchema = z.union([
  z.strictObject({
    agents: z.int().min(1).max(1_000_000),
    share: z.number().gt(0).max(1).default(1),
  }),
  z.strictObject({ labels: labelsSchema, share: z.number().gt(0).max(1).default(1) }),
]);
export type Canary = z.infer<typeof canarySchema>;

export const rolloutRequestSchema = z.strictObject({
  version: versionNumberSchema,
  canary: canarySchema,
  /** Rows each arm must have answered before a verdict. */
  minRows: z.int().min(1).max(1_000_000_000).default(200),
  /** How long the candidate must hold before it is promoted. */
  observeMs: z
    .int()
    .min(0)
    .max(30 * DAY_MS)
    .default(300_000),
  deadlineMs: z
    .int()
    .min(1000)
    .max(90 * DAY_MS)
    .default(3_600_000),
  onDeadline: z.enum(['hold', 'abort']).default('hold'),
  /** Debiased PSI of predictions, candidate against stable, at and above which the candidate fails. */
  maxPsi: z.number().gt(0).max(100).default(0.1),
});
export type RolloutRequest = z.infer<typeof rolloutRequestSchema>;

export const rolloutViewSchema = z.object({
  id: z.string(),
  deployment: nameSchema,
  model: nameSchema,
  from: versionNumberSchema,
  to: versionNumberSchema,
  plan: z.looseObject({}),
  /** `kind` names the state; the other fields are that state's own. */
  state: z.looseObject({ kind: z.string() }),
  createdBy: z.string(),
  createdAt: timestampSchema,
  updatedAt: timestampSchema,
  finishedAt: timestampSchema.nullable(),
});
export type RolloutView = z.infer<typeof rolloutViewSchema>;

export const rollbackRequestSchema = z.strictObject({
  /** Default: the version before the present one, or during a rollout the stable one. */
  to: versionNumberSchema.optional(),
  reason: z.string().min(1).max(2000),
});
export type RollbackRequest = z.infer<typeof rollbackRequestSchema>;

export const rollbackResultSchema = z.object({
  deployment: nameSchema,
  from: versionNumberSchema,
  to: versionNumberSchema,
  /** Every agent that has applied this generation answers with `to`. */
  generation: z.int(),
  agents: z.array(z.object({ id: agentIdSchema, name: z.string(), connected: z.boolean() })),
});
export type RollbackResult = z.infer<typeof rollbackResultSchema>;

/** All methods throw `ControlError`: 'not-found', 'conflict' (for example: a rollout is live) or 'invalid'. */
export interface Rollouts {
  start(deployment: string, request: RolloutRequest, actor: Actor): Promise<RolloutView>;
  promote(id: string, actor: Actor): Promise<RolloutView>;
  abort(id: string, reason: string, actor: Actor): Promise<RolloutView>;
  pause(id: string, actor: Actor): Promise<RolloutView>;
  resume(id: string, actor: Actor): Promise<RolloutView>;
  rollback(deployment: string, request: RollbackRequest, actor: Actor): Promise<RollbackResult>;
}

export const confirmationsSchema = z.object({
  generation: z.int(),
  agents: z.array(
    z.object({
      id: agentIdSchema,
      name: z.string(),
      connected: z.boolean(),
      /** Highest generation the agent says all its engines serve. */
      applied: z.int(),
      /** From the moment the generation was made to the agent's report; null: not yet. */
      confirmedAfterMs: z.number().nullable(),
    }),
  ),
});
export type Confirmations = z.infer<typeof confirmationsSchema>;

export const hostCountsSchema = z.object({
  total: z.int().describe('Agents in service that it goes to.'),
  connected: z.int().describe('Of those, linked now.'),
  serving: z.int().describe('Of all, those that serve its version by what they last said.'),
  connectedServing: z.int().describe('Of those that are linked.'),
  unleased: z.int().describe('Those whose lease has run out.'),
  refused: z
    .array(z.object({ agent: agentIdSchema, name: z.string(), reason: z.string() }))
    .describe(
      `Who refuses its version, as said since this control plane started; ${MAX_REFUSED} at most.`,
    ),
});
export type HostCounts = z.infer<typeof hostCountsSchema>;

/** A host in service, by what it last said. */
export interface KnownHost {
  readonly id: AgentId;
  readonly name: string;
  /** Versions that its stable arms serve, by deployment. */
  readonly stable: ReadonlyMap<string, number>;
}

export interface Fleet {
  /** Recomputes every agent's desired state; signs, keeps and pushes what changed. */
  reconcile(reason: string): Promise<void>;
  /** Ids of agents that are linked now. */
  connected(): ReadonlySet<string>;
  /** How many hosts a deployment has, and what they do; `manifest` is its version's. Nothing is read for it. */
  counts(deployment: DeploymentRow, manifest: Digest): HostCounts;
  /** Every host in service. */
  hosts(): readonly KnownHost[];
  /** Windows that came again and were not counted again, since the start. */
  duplicateWindows(): number;
  /** What an agent said last of what leaves its host; null before it has. */
  ledger(agent: AgentId): LedgerMessage | null;
  /** What a linked agent downloads now, as it said last. */
  downloads(agent: AgentId): readonly DownloadProgress[];
  /** Answers once all connected agents of the deployment have applied `generation`, or after `waitMs`. */
  confirmations(deployment: string, generation: number, waitMs: number): Promise<Confirmations>;
}

export const verdictSchema = z.enum(['ok', 'watch', 'alert', 'insufficient']);

export const driftViewSchema = z.object({
  deployment: nameSchema,
  model: nameSchema,
  version: versionNumberSchema,
  manifest: digestSchema,
  verdict: verdictSchema,
  streams: z.array(
    z.object({
      /** The stream's key, `feature:NAME` or `prediction`. */
      stream: z.string(),
      kind: z.string().describe('What is watched: feature, missing, latency, fairness, …'),
      name: z.string(),
      verdict: verdictSchema,
      /** Of an alert; null otherwise. */
      severity: z.enum(['low', 'high', 'critical']).nullable(),
      /** Latest effect in units of the smallest one that alerts. */
      effect: z.number().nullable(),
      /** Rows of the latest evaluated group of windows. */
      rows: z.number(),
      psi: z.number().nullable(),
      debiasedPsi: z.number().nullable(),
      logP: z.number().nullable(),
      updatedAt: timestampSchema.nullable(),
    }),
  ),
  /** Windows that hosts sent and that were not merged, latest first. */
  refused: z.array(
    z.object({
      agentId: z.string(),
      reason: z.string(),
      windows: z.int(),
      detail: z.string(),
      lastAt: timestampSchema,
    }),
  ),
});
export type DriftView = z.infer<typeof driftViewSchema>;

/** Counts of each window, without a look at a sketch. */
export type WindowsView = Pick<MonitoringView, 'deployment' | 'windows' | 'totals'>;

/** What one deployment has come to, and how it is judged now. */
export interface DeploymentFigures {
  readonly deployment: string;
  readonly version: number;
  readonly drift: DriftView['streams'];
}

export interface Monitoring {
  drift(deployment: string): Promise<DriftView>;
  windows(deployment: string, fromMs: number, toMs: number): Promise<WindowsView>;
  /** Throws `ControlError`: 'not-found', 'invalid' (too large an answer, an unknown feature) or 'unavailable'. */
  read(deployment: string, query: MonitoringQuery, now: number): Promise<MonitoringView>;
  /** The same period as people read it. Throws as `read` does. */
  report(deployment: string, query: MonitoringQuery, now: number): Promise<ReportData>;
  /** Counters of all deployments, for `/metrics`. */
  figures(): Promise<readonly DeploymentFigures[]>;
}

/** What hosts are asked to do once, besides their desired state. */
export interface Commands {
  /**
   * Recorded before it is sent; whoever asks records what became of it.
   *
   * Throws `ControlError` 'unavailable': the host is not linked, speaks an older protocol, went away or did not answer in
   * time; 'conflict': a command of this kind is on its way there.
   */
  send(agent: AgentId, command: Command, timeoutMs: number, actor: Actor): Promise<CommandAnswer>;
}

/** What a host answered, and to which command, as the record names it. */
export interface CommandAnswer {
  readonly id: CommandId;
  readonly outcome: CommandOutcome;
}

export interface Approval {
  /** Of the host's key, or its first digits, as whoever approves has seen it there. */
  readonly fingerprint: string;
  /** Where the host is; absent: as its token says. */
  readonly jurisdiction?: Jurisdiction | undefined;
}

/** What operators have a host do now. */
export type OperatorCommand = Extract<
  Command,
  { name: 'drain' | 'undrain' | 'restart-engines' | 'diagnostics' | 'log-level' }
>;

/**
 * Each is recorded, with who asked and what became of it. All throw `ControlError`: 'not-found', 'conflict' (revoked, or
 * it does that now), 'residency' or 'unavailable'.
 */
export interface Hosts {
  ask<N extends OperatorCommand['name']>(
    agent: AgentId,
    command: Extract<OperatorCommand, { name: N }>,
    actor: Actor,
  ): Promise<Extract<CommandValue, { name: N }>>;
  /** What the host that decided remembers of row `row`. */
  decision(
    asked: { readonly deployment: string; readonly id: string; readonly row: number },
    actor: Actor,
  ): Promise<{ readonly agent: AgentId; readonly record: DecisionRecord }>;
}

/** What operators decide of single agents. All throw `ControlError`: 'not-found', 'conflict' or 'unavailable'. */
export interface Agents {
  /** Whether it is linked and waits for approval. */
  isHeld(agent: AgentId): boolean;
  approve(agent: AgentId, approval: Approval, actor: Actor): Promise<AgentRow>;
  /** For good; its link is cut at once. */
  revoke(agent: AgentId, reason: string, actor: Actor): Promise<AgentRow>;
  /** As a whole, but for what the host says of itself. */
  label(agent: AgentId, labels: Labels, actor: Actor): Promise<AgentRow>;
  /** Where it is: what may not be there is taken from it. */
  move(agent: AgentId, jurisdiction: Jurisdiction | null, actor: Actor): Promise<AgentRow>;
  /** Answers with the key that the agent will come back with. */
  rotateKey(agent: AgentId, actor: Actor): Promise<{ fingerprint: string }>;
}

export interface Services {
  readonly agents: Agents;
  readonly commands: Commands;
  readonly hosts: Hosts;
  readonly rollouts: Rollouts;
  readonly fleet: Fleet;
  readonly monitoring: Monitoring;
}

/** What `link/hub.ts` returns from `createHub(deps)`. */
export interface Hub extends Services {
  /** Takes over a WebSocket upgrade of path `/link`; destroys the socket for any other path. */
  handleUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void;
  /** Tells agents that the control plane stops, closes their links and stops all timers. */
  close(): Promise<void>;
}
