import type {
  Command,
  CommandErrorCode,
  CommandMessage,
  CommandOutcome,
  CommandValue,
  LogLevel,
} from '../../protocol/command.ts';
import type { DecisionRecord } from '../../protocol/decision.ts';
import type { Diagnostics } from '../../protocol/diagnostics.ts';
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
  /** Refuses new requests, or takes them again. Resolves with how many are not answered yet. */
  drain(draining: boolean): Promise<number>;
  /** Resolves with how many engines have a successor. */
  restartEngines(): Promise<number>;
  /** Null: nothing is remembered of that row. */
  recall(deployment: string, decision: string, row: number): Promise<DecisionRecord | null>;
  diagnose(): Promise<Diagnostics>;
  /** Resolves with when it ends. */
  setLogLevel(level: LogLevel, forMs: number): number;
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
      case 'drain':
        return { name: 'drain', inFlight: await this.#deps.drain(true) };
      case 'undrain':
        await this.#deps.drain(false);
        return { name: 'undrain' };
      case 'restart-engines':
        return { name: 'restart-engines', restarted: await this.#deps.restartEngines() };
      case 'decision':
        return this.#recall(command);
      case 'diagnostics':
        return { name: 'diagnostics', diagnostics: await this.#deps.diagnose() };
      case 'log-level': {
        const { level, forMs } = command;
        return { name: 'log-level', level, until: this.#deps.setLogLevel(level, forMs) };
      }
    }
  }

  async #recall({
    deployment,
    id,
    row,
  }: Extract<Command, { name: 'decision' }>): Promise<CommandValue> {
    const record = await this.#deps.recall(deployment, id, row);
    if (record !== null) return { name: 'decision', record };
    const told = `this host remembers no row ${row} of decision ${id} of "${deployment}"; it keeps what "labels.keepRows" of its monitoring says`;
    throw new Declined('unknown-decision', told);
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
