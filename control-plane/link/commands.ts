import { randomBytes } from 'node:crypto';
import type { Command, CommandId, CommandOutcome, ResultMessage } from '../../protocol/command.ts';
import type { AgentId } from '../../protocol/ids.ts';
import { COMMAND_SINCE } from '../../protocol/version.ts';
import { ControlError } from '../error.ts';
import type { Commands } from '../http/services.ts';
import type { Session } from './session.ts';

/** What the desk needs of a host's link. */
type Line = Pick<Session, 'send' | 'protocol'>;

interface Pending {
  readonly agent: AgentId;
  readonly name: Command['name'];
  readonly line: Line;
  settle(result: CommandOutcome | ControlError): void;
}

/** Commands on their way. Nothing is stored: a command ends with the link that carried it. */
export class CommandDesk implements Commands {
  readonly #session: (agent: AgentId) => Line | null;
  readonly #now: () => number;
  readonly #pending = new Map<CommandId, Pending>();

  constructor(deps: {
    readonly session: (agent: AgentId) => Line | null;
    readonly now: () => number;
  }) {
    this.#session = deps.session;
    this.#now = deps.now;
  }

  async send(agent: AgentId, command: Command, timeoutMs: number): Promise<CommandOutcome> {
    const line = this.#session(agent);
    if (line === null) throw new ControlError('unavailable', `agent ${agent} is not connected`);
    const { name } = command;
    const since = COMMAND_SINCE[name];
    if (line.protocol < since) {
      const told = `agent ${agent} speaks protocol ${line.protocol}; "${name}" needs ${since}: update it`;
      throw new ControlError('unavailable', told);
    }
    for (const other of this.#pending.values()) {
      if (other.agent !== agent || other.name !== name) continue;
      throw new ControlError('conflict', `a "${name}" is running on agent ${agent}: wait for it`);
    }
    const id = `cmd_${randomBytes(8).toString('hex')}`;
    const outcome = await new Promise<CommandOutcome | ControlError>((resolve) => {
      const timer = setTimeout(() => {
        const told = `agent ${agent} has not answered "${name}" in ${timeoutMs / 1000} s`;
        settle(new ControlError('unavailable', told));
      }, timeoutMs);
      const settle: Pending['settle'] = (result) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve(result);
      };
      this.#pending.set(id, { agent, name, line, settle });
      line.send({ kind: 'command', id, deadline: this.#now() + timeoutMs, command });
    });
    if (outcome instanceof ControlError) throw outcome;
    return outcome;
  }

  /** A result of what this link was asked; anything else is late, or nobody's, and ignored. */
  take(line: Line, { id, outcome }: ResultMessage): void {
    const pending = this.#pending.get(id);
    if (pending?.line !== line) return;
    if (outcome.ok && outcome.value.name !== pending.name) return;
    pending.settle(outcome);
  }

  /** The link is gone, and with it what it was asked. */
  drop(line: Line): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.line !== line) continue;
      const told = `agent ${pending.agent} went away during "${pending.name}"`;
      pending.settle(new ControlError('unavailable', told));
    }
  }
}
