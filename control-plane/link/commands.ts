import { randomBytes } from 'node:crypto';
import type { Command, CommandId, CommandOutcome, ResultMessage } from '../../protocol/command.ts';
import type { AgentId } from '../../protocol/ids.ts';
import { COMMAND_SINCE } from '../../protocol/version.ts';
import { type Actor, record } from '../audit/record.ts';
import { ControlError } from '../error.ts';
import type { CommandAnswer, Commands } from '../http/services.ts';
import type { Store } from '../store/database.ts';
import type { Session } from './session.ts';

/** What the desk needs of a host's link. */
type Line = Pick<Session, 'send' | 'protocol'>;

interface Pending {
  readonly agent: AgentId;
  readonly name: Command['name'];
  readonly line: Line;
  settle(result: CommandOutcome | CommandError): void;
}

/** Why a host has not answered. */
export type Unanswered = 'not-linked' | 'too-old' | 'busy' | 'timed-out' | 'link-ended';

/** A command that its host has not answered. */
export class CommandError extends ControlError {
  readonly reason: Unanswered;
  /** Null: none was sent, nor recorded as asked. */
  readonly command: CommandId | null;

  constructor(reason: Unanswered, command: CommandId | null, message: string) {
    super(reason === 'busy' ? 'conflict' : 'unavailable', message);
    this.name = 'CommandError';
    this.reason = reason;
    this.command = command;
  }
}

/** What a command came to, whether or not its host answered. */
export async function endOf(sent: Promise<CommandAnswer>): Promise<CommandAnswer | CommandError> {
  try {
    return await sent;
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

/** The same in the words of the record: which command, and `done`, the host's code, or why it did not answer. */
export function recordedEnd(end: CommandAnswer | CommandError): Record<string, string> {
  if (!(end instanceof CommandError)) {
    return { command: end.id, outcome: end.outcome.ok ? 'done' : end.outcome.code };
  }
  const { command, reason } = end;
  return { ...(command === null ? {} : { command }), outcome: reason };
}

/**
 * Commands on their way. Each is in the record before it is sent, so that a control plane which dies before the answer leaves
 * who asked for what. Who asks records what became of it. A command ends with the link that carried it.
 */
export class CommandDesk implements Commands {
  readonly #store: Store;
  readonly #session: (agent: AgentId) => Line | null;
  readonly #now: () => number;
  readonly #pending = new Map<CommandId, Pending>();

  constructor(deps: {
    readonly store: Store;
    readonly session: (agent: AgentId) => Line | null;
    readonly now: () => number;
  }) {
    this.#store = deps.store;
    this.#session = deps.session;
    this.#now = deps.now;
  }

  async send(
    agent: AgentId,
    command: Command,
    timeoutMs: number,
    actor: Actor,
  ): Promise<CommandAnswer> {
    const line = this.#lineTo(agent, command.name);
    const id = `cmd_${randomBytes(8).toString('hex')}`;
    const { name } = command;
    const deadline = this.#now() + timeoutMs;
    let timer: NodeJS.Timeout | undefined;
    // Its place is taken before it is written down: another of its kind must not come between.
    const ended = new Promise<CommandOutcome | CommandError>((resolve) => {
      const settle: Pending['settle'] = (result) => {
        clearTimeout(timer);
        this.#pending.delete(id);
        resolve(result);
      };
      this.#pending.set(id, { agent, name, line, settle });
    });
    try {
      await this.#recordAsked(id, agent, command, deadline, actor);
    } catch (error) {
      this.#pending.delete(id);
      throw error;
    }
    // Not where its link has ended meanwhile.
    const pending = this.#pending.get(id);
    if (pending !== undefined) {
      timer = setTimeout(() => {
        const told = `agent ${agent} has not answered "${name}" in ${timeoutMs / 1000} s`;
        pending.settle(new CommandError('timed-out', id, told));
      }, timeoutMs);
      line.send({ kind: 'command', id, deadline, command });
    }
    const outcome = await ended;
    if (outcome instanceof CommandError) throw outcome;
    return { id, outcome };
  }

  /** Throws where a command can't go now. */
  #lineTo(agent: AgentId, name: Command['name']): Line {
    const line = this.#session(agent);
    if (line === null) {
      throw new CommandError('not-linked', null, `agent ${agent} is not connected`);
    }
    const since = COMMAND_SINCE[name];
    if (line.protocol < since) {
      const told = `agent ${agent} speaks protocol ${line.protocol}; "${name}" needs ${since}: update it`;
      throw new CommandError('too-old', null, told);
    }
    for (const other of this.#pending.values()) {
      if (other.agent !== agent || other.name !== name) continue;
      const told = `a "${name}" is running on agent ${agent}: wait for it`;
      throw new CommandError('busy', null, told);
    }
    return line;
  }

  async #recordAsked(
    command: CommandId,
    agent: AgentId,
    { name, ...asked }: Command,
    deadline: number,
    actor: Actor,
  ): Promise<void> {
    const detail = { command, name, deadline, ...asked };
    await this.#store.write((tx) =>
      record(tx, this.#now(), actor, 'command.asked', `agent:${agent}`, detail),
    );
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
    for (const [id, pending] of [...this.#pending]) {
      if (pending.line !== line) continue;
      const told = `agent ${pending.agent} went away during "${pending.name}"`;
      pending.settle(new CommandError('link-ended', id, told));
    }
  }
}
