import type { Command, CommandErrorCode, CommandValue } from '../../protocol/command.ts';
import type { DecisionRecord } from '../../protocol/decision.ts';
import type { AgentId } from '../../protocol/ids.ts';
import { type Action, type Actor, record } from '../audit/record.ts';
import { ControlError, type ControlErrorKind } from '../error.ts';
import type { Commands, Hosts, OperatorCommand } from '../http/services.ts';
import { decisionViolation, type Place } from '../residency/residency.ts';
import { type AgentRow, agentsTagged } from '../store/agents.ts';
import type { Store } from '../store/database.ts';
import { findDeployment } from '../store/deployments.ts';
import { agentInForce } from './agent-desk.ts';
import { CommandError, endOf, recordedEnd } from './commands.ts';

export interface HostDeskDeps {
  readonly store: Store;
  readonly commands: Commands;
  /** Where this control plane is. */
  readonly jurisdiction: Place;
  readonly now: () => number;
}

/** A host looks at its own memory or disk. */
const LOOK_TIMEOUT_MS = 10_000;
/** Engines wait 15 s for what is in flight before they say how much that is. */
const DRAIN_TIMEOUT_MS = 30_000;
/** Each engine of a host opens all of its models anew. Below the time that clients of the API wait. */
const RESTART_TIMEOUT_MS = 110_000;

const ASKED: Record<OperatorCommand['name'], { action: Action; timeoutMs: number }> = {
  drain: { action: 'agent.drained', timeoutMs: DRAIN_TIMEOUT_MS },
  undrain: { action: 'agent.undrained', timeoutMs: DRAIN_TIMEOUT_MS },
  'restart-engines': { action: 'agent.engines-restarted', timeoutMs: RESTART_TIMEOUT_MS },
  diagnostics: { action: 'agent.diagnosed', timeoutMs: LOOK_TIMEOUT_MS },
  'log-level': { action: 'agent.log-level-set', timeoutMs: LOOK_TIMEOUT_MS },
};

const PROBLEM_OF: Record<CommandErrorCode, ControlErrorKind> = {
  expired: 'unavailable',
  busy: 'conflict',
  'unknown-deployment': 'not-found',
  'unknown-decision': 'not-found',
  failed: 'unavailable',
};

/** Who asks, under which name it is recorded, and of what. */
interface Entry {
  readonly actor: Actor;
  readonly action: Action;
  readonly subject: string;
  readonly detail: Record<string, unknown>;
}

/** What operators have single hosts do. Each attempt is recorded with what became of it. */
export class HostDesk implements Hosts {
  readonly #deps: HostDeskDeps;

  constructor(deps: HostDeskDeps) {
    this.#deps = deps;
  }

  async ask<N extends OperatorCommand['name']>(
    agent: AgentId,
    command: Extract<OperatorCommand, { name: N }>,
    actor: Actor,
  ): Promise<Extract<CommandValue, { name: N }>> {
    await agentInForce(this.#deps.store.read, agent);
    const { name, ...detail } = command;
    const { action, timeoutMs } = ASKED[name];
    const entry = { actor, action, subject: `agent:${agent}`, detail };
    const value = await this.#send(agent, command, timeoutMs, entry);
    return value as Extract<CommandValue, { name: N }>;
  }

  async decision(
    asked: { readonly deployment: string; readonly id: string; readonly row: number },
    actor: Actor,
  ): Promise<{ agent: AgentId; record: DecisionRecord }> {
    const { store, jurisdiction } = this.#deps;
    const { deployment: name, id, row } = asked;
    const deployment = await findDeployment(store.read, name);
    if (deployment === null) {
      throw new ControlError('not-found', `there is no deployment "${name}"`);
    }
    const host = await this.#hostOf(id);
    const subject = `decision:${id}`;
    const detail = { deployment: name, row, agent: host.id };
    const violation = decisionViolation(deployment.residency, host.jurisdiction, jurisdiction);
    if (violation !== null) {
      await this.#record(
        { actor, action: 'residency.refused', subject, detail },
        {
          outcome: violation.code,
        },
      );
      throw new ControlError('residency', `${violation.code}: ${violation.detail}`);
    }
    const entry = { actor, action: 'decision.fetched' as const, subject, detail };
    const command = { name: 'decision' as const, ...asked };
    const value = await this.#send(host.id, command, LOOK_TIMEOUT_MS, entry);
    if (value.name !== 'decision') throw new Error(`${host.id} answered with "${value.name}"`);
    return { agent: host.id, record: value.record };
  }

  /** A decision id begins with the id of its host. */
  async #hostOf(id: string): Promise<AgentRow> {
    const [tag = ''] = id.split('.', 1);
    const [host, other] = await agentsTagged(this.#deps.store.read, tag);
    if (host === undefined || other !== undefined) {
      const told = other === undefined ? 'no agent' : 'more than one agent';
      throw new ControlError('not-found', `"${id}" is of ${told} in this fleet: ask its own`);
    }
    return agentInForce(this.#deps.store.read, host.id);
  }

  async #send(
    agent: AgentId,
    command: Command,
    timeoutMs: number,
    entry: Entry,
  ): Promise<CommandValue> {
    const end = await endOf(this.#deps.commands.send(agent, command, timeoutMs, entry.actor));
    await this.#record(entry, recordedEnd(end));
    if (end instanceof CommandError) throw end;
    const { outcome } = end;
    if (outcome.ok) return outcome.value;
    const told = `agent ${agent} did not do "${command.name}": ${outcome.message}`;
    throw new ControlError(PROBLEM_OF[outcome.code], told);
  }

  async #record(
    { actor, action, subject, detail }: Entry,
    end: Record<string, string>,
  ): Promise<void> {
    const { store, now } = this.#deps;
    await store.write((tx) => record(tx, now(), actor, action, subject, { ...detail, ...end }));
  }
}
