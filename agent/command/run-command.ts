import type {
  Command,
  CommandErrorCode,
  CommandMessage,
  CommandOutcome,
  CommandValue,
} from '../../protocol/command.ts';
import type { Digest } from '../../protocol/ids.ts';
import type { ModelFiles, ServingPlan } from '../engine/messages.ts';
import { messageOf } from '../error.ts';
import { startTuning, type TuningProcess } from './tuning-process.ts';

export interface CommandDeps {
  /** What the engines serve now; null: nothing yet. */
  plan(): ServingPlan | null;
  /** A version's verified files on this host. */
  filesOf(manifest: Digest): ModelFiles | null;
  /** Makes the key that this host will come back with. */
  rotateKey(): Promise<Uint8Array>;
  /** The agent's own program; default: the one this code was built into. */
  readonly program?: string;
  readonly now?: () => number;
}

/** A command that this host can't do, with why. */
class Declined extends Error {
  readonly code: CommandErrorCode;
  constructor(code: CommandErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** Does what the control plane asks besides serving: one command of a kind at a time, none on the engines' threads. */
export class CommandRunner {
  readonly #deps: CommandDeps;
  readonly #running = new Set<Command['name']>();
  #tuning: TuningProcess | null = null;

  constructor(deps: CommandDeps) {
    this.#deps = deps;
  }

  /** Never rejects. */
  async run({ command, deadline }: CommandMessage): Promise<CommandOutcome> {
    const { name } = command;
    const now = (this.#deps.now ?? Date.now)();
    if (now >= deadline) {
      return declined('expired', `"${name}" came ${Math.round(now - deadline)} ms too late`);
    }
    if (this.#running.has(name)) return declined('busy', `a "${name}" is running on this host`);
    this.#running.add(name);
    try {
      return { ok: true, value: await this.#execute(command) };
    } catch (error) {
      return declined(error instanceof Declined ? error.code : 'failed', messageOf(error));
    } finally {
      this.#running.delete(name);
    }
  }

  /** Ends what is running; its outcome is 'failed'. */
  stop(): void {
    this.#tuning?.kill();
  }

  async #execute(command: Command): Promise<CommandValue> {
    switch (command.name) {
      case 'tune':
        return this.#tune(command.deployment);
      case 'rotate-key':
        return { name: 'rotate-key', publicKey: await this.#deps.rotateKey() };
    }
  }

  async #tune(name: string): Promise<CommandValue> {
    const planned = this.#deps.plan()?.deployments.find((deployment) => deployment.name === name);
    const stable = planned?.arms.find(({ arm }) => arm === 'stable');
    const files = stable === undefined ? null : this.#deps.filesOf(stable.manifest);
    if (stable === undefined || files === null) {
      throw new Declined('unknown-deployment', `this host serves no stable version of "${name}"`);
    }
    this.#tuning = startTuning({ version: stable.version, files }, this.#deps.program);
    try {
      return { name: 'tune', tuning: await this.#tuning.result };
    } finally {
      this.#tuning = null;
    }
  }
}

function declined(code: CommandErrorCode, message: string): CommandOutcome {
  return { ok: false, code, message };
}
