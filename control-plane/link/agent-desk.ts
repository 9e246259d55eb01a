import { type AgentId, type Labels, OWN_LABEL_PREFIX } from '../../protocol/ids.ts';
import { MAX_LABELS } from '../../protocol/limits.ts';
import type { Jurisdiction } from '../../protocol/residency.ts';
import { fingerprintOf } from '../../protocol/signing.ts';
import { type Actor, record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { Agents, Approval, CommandAnswer, Commands } from '../http/services.ts';
import type { Publisher } from '../rollout/publisher.ts';
import type { Roster } from '../rollout/roster.ts';
import { type AgentRow, findAgent, updateAgent } from '../store/agents.ts';
import type { Reader, Store, Transaction } from '../store/database.ts';
import { deleteDesired } from '../store/desired.ts';
import { CommandError, endOf, recordedEnd } from './commands.ts';
import type { Sessions } from './sessions.ts';

/** What a revoked host is told. The reason is for the record. */
export const REVOKED = 'an operator has revoked this agent: join again with a new token and key';
/** It makes a key and writes a file. */
const ROTATE_TIMEOUT_MS = 10_000;

export interface AgentDeskDeps {
  readonly store: Store;
  readonly publisher: Publisher;
  readonly roster: Roster;
  readonly sessions: Sessions;
  readonly commands: Commands;
  readonly now: () => number;
  /** A host that others waited for is out of service. */
  readonly onLeft: () => void;
}

/** What operators decide of single hosts: in the record first, then on its link. */
export class AgentDesk implements Agents {
  readonly #deps: AgentDeskDeps;
  /** Nobody is ever taken back: who joins again is another agent. */
  readonly #revoked = new Set<AgentId>();

  constructor(deps: AgentDeskDeps) {
    this.#deps = deps;
  }

  /** Whether it was revoked in this run: what was before, its hello was refused for. */
  isRevoked(agent: AgentId): boolean {
    return this.#revoked.has(agent);
  }

  isHeld(agent: AgentId): boolean {
    return this.#deps.sessions.held(agent) !== null;
  }

  async approve(
    agent: AgentId,
    { fingerprint, jurisdiction }: Approval,
    actor: Actor,
  ): Promise<AgentRow> {
    const { store, sessions, roster, now } = this.#deps;
    const row = await store.write(async (tx) => {
      const found = await agentInForce(tx, agent);
      const shown = await fingerprintOf(found.publicKey);
      if (!shown.startsWith(fingerprint)) {
        const told = `agent ${agent} has the fingerprint ${shown}, not ${fingerprint}: compare it with what the host prints`;
        throw new ControlError('conflict', told);
      }
      if (found.approvedAt !== null) return found;
      const change = { approvedAt: now(), jurisdiction: jurisdiction ?? found.jurisdiction };
      await updateAgent(tx, agent, change);
      const detail = { name: found.name, fingerprint: shown, jurisdiction: change.jurisdiction };
      await record(tx, now(), actor, 'agent.approved', `agent:${agent}`, detail);
      return { ...found, ...change };
    });
    roster.add(row);
    sessions.held(agent)?.approved();
    return row;
  }

  async revoke(agent: AgentId, reason: string, actor: Actor): Promise<AgentRow> {
    const { store, sessions, publisher, roster, now, onLeft } = this.#deps;
    const row = await store.write(async (tx) => {
      const found = await findAgent(tx, agent);
      if (found === null) throw unknown(agent);
      if (found.revokedAt !== null) return found;
      await updateAgent(tx, agent, { revokedAt: now() });
      await deleteDesired(tx, agent);
      const detail = { name: found.name, reason };
      await record(tx, now(), actor, 'agent.revoked', `agent:${agent}`, detail);
      return { ...found, revokedAt: now() };
    });
    this.#revoked.add(agent);
    // In no list before its link is cut, or a rollout would wait for it.
    roster.remove(agent);
    publisher.forget(agent);
    for (const session of sessions.of(agent)) session.revoke(REVOKED);
    onLeft();
    return row;
  }

  async label(agent: AgentId, labels: Labels, actor: Actor): Promise<AgentRow> {
    const { publisher, roster, now } = this.#deps;
    const work = async (tx: Transaction) => {
      const found = await agentInForce(tx, agent);
      const own = Object.entries(found.labels).filter(([key]) => key.startsWith(OWN_LABEL_PREFIX));
      const to = Object.fromEntries([...Object.entries(labels), ...own].slice(0, MAX_LABELS));
      await updateAgent(tx, agent, { labels: to });
      const detail = { from: found.labels, to };
      await record(tx, now(), actor, 'agent.labelled', `agent:${agent}`, detail);
      return { ...found, labels: to };
    };
    const { result } = await publisher.change(now(), work, undefined, [{ agent, held: 0 }]);
    roster.change(agent, result);
    return result;
  }

  async move(agent: AgentId, jurisdiction: Jurisdiction | null, actor: Actor): Promise<AgentRow> {
    const { publisher, roster, now } = this.#deps;
    const work = async (tx: Transaction) => {
      const found = await agentInForce(tx, agent);
      await updateAgent(tx, agent, { jurisdiction });
      const detail = { from: found.jurisdiction, to: jurisdiction };
      await record(tx, now(), actor, 'agent.moved', `agent:${agent}`, detail);
      return { ...found, jurisdiction };
    };
    // What it may no longer have is taken from it by the document that follows.
    const { result } = await publisher.change(now(), work, undefined, [{ agent, held: 0 }]);
    roster.change(agent, result);
    return result;
  }

  async rotateKey(agent: AgentId, actor: Actor): Promise<{ fingerprint: string }> {
    const { store, commands, now } = this.#deps;
    await agentInForce(store.read, agent);
    const end = await endOf(commands.send(agent, { name: 'rotate-key' }, ROTATE_TIMEOUT_MS, actor));
    const fingerprint = await newFingerprint(end);
    const detail = { ...(fingerprint === null ? {} : { fingerprint }), ...recordedEnd(end) };
    await store.write((tx) =>
      record(tx, now(), actor, 'agent.key-rotation-asked', `agent:${agent}`, detail),
    );
    if (end instanceof CommandError) throw end;
    if (fingerprint !== null) return { fingerprint };
    const why = end.outcome.ok ? 'it answered another command' : end.outcome.message;
    throw new ControlError('unavailable', `agent ${agent} did not rotate its key: ${why}`);
  }
}

/** Throws `ControlError`: 'not-found' or, where it was revoked, 'conflict'. */
export async function agentInForce(db: Reader, agent: AgentId): Promise<AgentRow> {
  const row = await findAgent(db, agent);
  if (row === null) throw unknown(agent);
  if (row.revokedAt !== null) throw new ControlError('conflict', `agent ${agent} was revoked`);
  return row;
}

/** Of the key that a host has made; null: it has made none. */
async function newFingerprint(end: CommandAnswer | CommandError): Promise<string | null> {
  if (end instanceof CommandError || !end.outcome.ok) return null;
  const { value } = end.outcome;
  return value.name === 'rotate-key' ? fingerprintOf(value.publicKey) : null;
}

function unknown(agent: AgentId): ControlError {
  return new ControlError('not-found', `there is no agent "${agent}"`);
}
